# Dropout, answered. `make` lists what there is to do; the first run of a target installs what it needs, once.
PYTHON ?= python3
PORT ?= 8000
RUNNER ?= cpu
BACKEND ?= tensorflow
Q ?=
JOBS ?= 2

export NO_MKDOCS_2_WARNING := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
export KERAS_BACKEND := $(BACKEND)
export TF_CPP_MIN_LOG_LEVEL := 2

SITE := .venv/site/bin/python
CHECK := .venv/check/bin/python
# what runs: one environment for each backend, on a processor and on a GPU, each with its own lock file
ENV_cpu_tensorflow := test
ENV_cpu_jax := jax
ENV_cpu_torch := torch
ENV_gpu_tensorflow := gpu
ENV_gpu_jax := gpu-jax
ENV_gpu_torch := gpu-torch
# or the newest or oldest versions that are supported, unlocked: VERSIONS=oldest
VERSIONS ?=
ENV := $(if $(VERSIONS),$(VERSIONS)-$(BACKEND),$(ENV_$(RUNNER)_$(BACKEND)))
$(if $(ENV),,$(error RUNNER is cpu or gpu, BACKEND is tensorflow, jax or torch: there is no $(RUNNER) with $(BACKEND)))
TEST := .venv/$(ENV)/bin/python
comma := ,
QUESTIONS := snippets notebooks tests/questions
# those of tests/ that need the tests' own environment
MACHINERY := tests/test_download.py tests/test_fork.py tests/test_rehearsal.py tests/authoring/test_running.py
PYTEST := $(TEST) -m pytest $(if $(Q),--question $(Q)) $(if $(FRESH),--fresh)

.DEFAULT_GOAL := help
.PHONY: help serve site test browse everything machinery check format verify sides record update notebook new dates bench zensical lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: .venv/site/.ready ## build the site and serve it at http://127.0.0.1:8000 (PORT=8001)
	@$(SITE) -m kb.start --quiet serve --dev-addr 127.0.0.1:$(PORT) & server=$$!; \
	trap 'kill $$server 2>/dev/null' INT TERM; \
	$(SITE) -m kb wait $(PORT) $$server; wait $$server

site/index.html: # for what looks into the built site
	@$(MAKE) --no-print-directory site

site: .venv/site/.ready ## build the site into site/
	@$(SITE) -m kb.start --quiet build --clean && echo "built: site/index.html"

test: check browse everything ## install the rest and verify everything (BACKEND=jax, torch; RUNNER=gpu; FRESH=1 without forks)

browse: check ## look at the pages in a browser, where Chromium is installed
	@$(CHECK) -m pytest -q -o addopts= -o timeout= -rs tests/browser

everything: .venv/$(ENV)/.ready site/index.html ## verify all programs, claims and notebooks, and the machinery (VERSIONS=oldest, newest)
	@echo "verifying programs, claims and notebooks (some minutes) …"
	@$(PYTEST) --runner $(RUNNER) -n $(JOBS) --dist loadfile $(QUESTIONS) $(MACHINERY)

machinery: .venv/$(ENV)/.ready site/index.html ## test the machinery alone
	@$(PYTEST) -q $(MACHINERY)

check: .venv/check/.ready ## all that needs no TensorFlow: lint, prose, links, evidence, pages (seconds)
	@$(CHECK) -m kb check

format: .venv/check/.ready ## lay out programs, tests and notebooks as `make check` wants them
	@.venv/check/bin/ruff check -q --fix . ; .venv/check/bin/ruff format .

verify: .venv/$(ENV)/.ready ## verify one question, or several: make verify Q=scope,rate
	@$(if $(Q),,echo "which question? make verify Q=scope" && exit 2)
	@$(PYTEST) --runner $(RUNNER) $(if $(findstring $(comma),$(Q)),-n $(JOBS) --dist loadfile) $(QUESTIONS)

sides: .venv/$(ENV)/.ready ## run claims that hold in some versions of Keras on those beside them, in which they have to fail
	@$(TEST) -m kb.sides

record: .venv/$(ENV)/.ready ## run and write the evidence (Q=scope: of one question, STUDY=conv-layers: of its long experiments)
	@$(if $(VERSIONS),echo "a record is of the locked versions: leave VERSIONS out" && exit 2)
	@$(PYTEST) --runner $(RUNNER) $(if $(Q)$(STUDY),,-n $(JOBS) --dist loadfile) $(if $(STUDY),--study $(STUDY)) --record $(QUESTIONS)

update: .venv/$(ENV)/.ready ## rewrite expected outputs of snippets and notebooks, of one question with Q=scope
	@$(PYTEST) --update snippets notebooks
	@echo "rewritten, not verified: look at the changes, then run make verify or make test"

notebook: .venv/test/.lab ## open JupyterLab on notebooks/
	@.venv/test/bin/python -m jupyter lab notebooks

new: .venv/site/.ready ## make the rooms of a new question: make new Q="Does dropout …?" (SLUG=input-dtype)
	@$(SITE) -m kb new "$(Q)" $(SLUG)

dates: .venv/check/.ready ## note today as the day of each answer that changed
	@$(CHECK) -m kb dates

bench: .venv/test/.ready .venv/check/.ready .venv/site/.ready ## measure, and write bench.json (PARTS="build verify")
	@$(SITE) -m kb.bench $(PARTS)

zensical: .venv/zensical/.ready ## render the same pages with Zensical, and see that each is there
	@.venv/zensical/bin/python -m kb.zensical

lock: ## make the lock files anew from requirements/*.in
	@$(call install,lock,uv==0.13.9)
	@for name in site zensical check test jax torch gpu gpu-jax gpu-torch notebook; do \
	  .venv/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    requirements/$$name.in -o requirements/$$name.txt && echo "requirements/$$name.txt"; done

clean: ## remove what was built and installed
	rm -rf .venv site .cache bench.json

# $(call install,environment,pip's arguments)
define install
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
  echo "Python 3.11 or later is needed, and $(PYTHON) is not that: make PYTHON=python3.12"; exit 1; }; \
test -x .venv/$(1)/bin/python || $(PYTHON) -m venv .venv/$(1); \
.venv/$(1)/bin/python -m pip --disable-pip-version-check install --no-deps $(2) \
  $$(test -t 1 && echo --progress-bar=on || echo -qq)
endef

.venv/%/.ready: requirements/%.txt
	@echo "installing what $(basename $(<F)) needs into .venv/$* (once) …"
	@$(call install,$*,--require-hashes -r $<)
	@touch $@

# PyTorch's CPU build for Linux lies in an index of its own; where that cannot be reached, the default one has to do
.venv/torch/.ready: requirements/torch.txt requirements/torch-itself.txt
	@echo "installing what torch needs into .venv/torch (once) …"
	@$(call install,torch,--require-hashes -r $<)
	@$(call install,torch,--retries 0 --index-url https://download.pytorch.org/whl/cpu -r $(word 2,$^)) 2>/dev/null || \
	  { $(call install,torch,-r $(word 2,$^)); }
	@touch $@

# the newest and the oldest versions that requirements/*.in and oldest.pip allow
IN_tensorflow := test
IN_jax := jax
IN_torch := torch
.venv/newest-%/.ready .venv/oldest-%/.ready: requirements/oldest.pip
	@echo "installing the $(patsubst %-$*,%,$(notdir $(@D))) versions for $* into $(@D) (once) …"
	@$(call install,$(notdir $(@D)),pip)
	@$(@D)/bin/python -m pip --disable-pip-version-check install -q --upgrade -r requirements/$(IN_$*).in \
	  $(if $(findstring oldest,$(@D)),-c $<) $(if $(filter torch,$*),torch)
	@touch $@

.venv/test/.lab: requirements/notebook.txt .venv/test/.ready
	@echo "installing JupyterLab into .venv/test (once) …"
	@$(call install,test,--require-hashes -r $<)
	@touch $@
