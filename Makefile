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
ENV := $(if $(filter gpu,$(RUNNER)),gpu,test)
TEST := .venv/$(ENV)/bin/python
# those of tests/ that need the tests' own environment
TESTS := snippets notebooks tests/questions tests/test_download.py tests/test_fork.py tests/authoring/test_running.py
PYTEST := $(TEST) -m pytest $(if $(Q),--question $(Q)) $(if $(FRESH),--fresh)

.DEFAULT_GOAL := help
.PHONY: help serve site test check verify record update notebook new bench lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: .venv/site/.ready ## build the site and serve it at http://127.0.0.1:8000 (PORT=8001)
	@$(SITE) -m kb.start --quiet serve --dev-addr 127.0.0.1:$(PORT) & server=$$!; \
	trap 'kill $$server 2>/dev/null' INT TERM; \
	$(SITE) -m kb wait $(PORT) $$server; wait $$server

site: .venv/site/.ready ## build the site into site/
	@$(SITE) -m kb.start --quiet build --clean && echo "built: site/index.html"

test: check .venv/$(ENV)/.ready ## install the rest and verify everything (RUNNER=gpu on a GPU, FRESH=1 without forks)
	@$(CHECK) -m pytest -q -o addopts= -o timeout= -rs tests/browser
	@echo "verifying programs, claims and notebooks (some minutes) …"
	@$(PYTEST) --runner $(RUNNER) -n $(JOBS) --dist loadfile $(TESTS)

check: .venv/check/.ready ## all that needs no TensorFlow: lint, prose, links, evidence, pages (seconds)
	@$(CHECK) -m kb check

verify: .venv/$(ENV)/.ready ## verify one question: make verify Q=scope
	@$(if $(Q),,echo "which question? make verify Q=scope" && exit 2)
	@$(PYTEST) --runner $(RUNNER) snippets tests/questions notebooks

record: .venv/$(ENV)/.ready ## run and write the evidence (Q=scope: of one question, STUDY=conv-layers: of its long experiments)
	@$(PYTEST) --runner $(RUNNER) $(if $(Q)$(STUDY),,-n $(JOBS) --dist loadfile) $(if $(STUDY),--study $(STUDY)) --record snippets tests/questions notebooks

update: .venv/test/.ready ## rewrite expected outputs of snippets and notebooks, of one question with Q=scope
	@$(PYTEST) --update snippets notebooks
	@echo "rewritten, not verified: look at the changes, then run make verify or make test"

notebook: .venv/test/.lab ## open JupyterLab on notebooks/
	@$(TEST) -m jupyter lab notebooks

new: .venv/site/.ready ## make the rooms of a new question: make new Q="Does dropout …?"
	@$(SITE) -m kb new "$(Q)"

bench: .venv/test/.ready .venv/check/.ready .venv/site/.ready ## measure, and write bench.json (PARTS="build verify")
	@$(SITE) -m kb.bench $(PARTS)

lock: ## make the lock files anew from requirements/*.in
	@$(call install,lock,uv==0.13.9)
	@for name in site check test jax torch gpu notebook; do \
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

.venv/test/.lab: requirements/notebook.txt .venv/test/.ready
	@echo "installing JupyterLab into .venv/test (once) …"
	@$(call install,test,--require-hashes -r $<)
	@touch $@
