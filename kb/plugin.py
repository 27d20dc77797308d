"""The pytest plugin: claims, snippets and notebooks as tests, and the record of what they measured.

`--question SLUG` runs one question; `--record` writes the evidence; `--update` rewrites the `#>` lines and the stored
outputs (and verifies nothing); `--runner gpu` insists on a GPU.
"""

import contextlib
import datetime
import fcntl
import importlib.metadata
import json
import math
import os
import platform
import re
import runpy
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from kb import evidence, fork
from kb.evidence import SIGMAS, Value
from kb.question import (
    BACKENDS,
    Problem,
    backend_of,
    claims,
    holds_in,
    keras_for,
    module,
    owner,
    rests_on,
    slug_of,
    slugs,
    snippets,
)

REWRITTEN = "rewritten, not verified"
CUDA_PACKAGES = ("nvidia-cuda-runtime", "nvidia-cudnn")  # in which JAX's own CUDA comes
# each backend would take a GPU that it sees, or Apple's
PROCESSOR_ONLY = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "KERAS_TORCH_DEVICE": "cpu"}
# several processes share one GPU, each of which would take most of its memory
SHARED_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
_config: pytest.Config  # of this run: a report does not lead back to it

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
if os.environ["KERAS_BACKEND"] == "torch":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads that share a core wait for each other at every step


def pytest_addoption(parser):
    group = parser.getgroup("dropout, answered")
    group.addoption("--question", metavar="SLUGS", help="only this question, or several: a,b")
    group.addoption("--record", action="store_true", help="write what was measured to evidence/")
    group.addoption("--study", metavar="SLUG", help="run the long experiments of one question in full")
    group.addoption("--rehearse", action="store_true", help="run in small, here, what is measured on a GPU")
    group.addoption("--update", action="store_true", help="rewrite the expected output of snippets and notebooks")
    group.addoption("--fresh", action="store_true", help="start each program and each kernel as a new process")
    group.addoption("--runner", choices=("cpu", "gpu"), default="cpu", help="gpu fails where no GPU is visible")


def pytest_configure(config):
    global _config
    _config = config
    chosen = (config.option.keyword, config.option.markexpr, config.option.deselect, "::" in " ".join(config.args))
    if config.getoption("--record") and any(chosen):
        raise pytest.UsageError("--record records whole questions: leave out -k, -m, --deselect and `::`.")
    if config.getoption("--runner") == "gpu":
        for name, value in SHARED_GPU.items():
            os.environ.setdefault(name, value)
    if config.getoption("--runner") == "gpu" and not _gpu():
        backend = BACKENDS[os.environ["KERAS_BACKEND"]]
        raise pytest.UsageError(f"RUNNER=gpu: {backend} sees no GPU on this machine, so nothing was run.")
    config.kb_root = Path(config.rootpath)
    if config.getoption("--runner") == "cpu":
        os.environ.update(PROCESSOR_ONLY)
    config.addinivalue_line("markers", "study: a long experiment; in short form unless --study names its question")
    config.addinivalue_line("markers", "only(*backends, why): about these backends; skipped on others, with the reason")
    config.addinivalue_line("markers", "holds(*ranges, why): holds in these versions, and fails in others")
    config.addinivalue_line("markers", "gpu: measured on a GPU and on nothing else, while nothing else runs on it")
    config.addinivalue_line("markers", "cpu: about a processor, and skipped on a GPU")
    config.addinivalue_line("markers", "differs(*names, see): values that differ between runners, as a claim says")
    config.kb_ran = {}  # slug → test → {outcome, seconds, values}
    config.kb_failed = set()  # slugs with a failure
    config.kb_seen = set()  # the tests that were reported, skipped ones too
    config.kb_setup = {}  # test → seconds of its fixtures
    config.kb_programs = {}  # snippet → what it prints as a program of its own, in time
    config.kb_seconds = {}  # slug → snippet → seconds, as a program of its own


def pytest_sessionstart(session):
    if session.config.getoption("--record") and not _is_worker(session.config):
        root = session.config.kb_root
        study = bool(session.config.getoption("--study"))
        runner = runner_name(session.config)
        session.config.kb_before = {slug: evidence.hashes(root, slug, study, runner) for slug in slugs(root)}

    config = session.config
    at_work = _is_worker(config) or not config.getoption("numprocesses", None)
    if at_work and not (
        config.getoption("--fresh") or config.getoption("--runner") == "gpu" or config.option.collectonly
    ):
        fork.start(_imported(config))


PRELOADED = {  # what is slow to import, and the module that brings it
    "keras": "keras",
    "sklearn": "sklearn.datasets",
    "scipy": "scipy.stats",
    "matplotlib": "matplotlib.figure",  # pyplot would choose a backend
    "optuna": "optuna",
}


def _imported(config) -> list[str]:
    """The slow modules that the programs and notebooks of this run import."""
    root, runner = config.kb_root, runner_name(config)
    about = _wanted(config) or _named(config) or slugs(root)
    files = {path for slug in about for path in rests_on(root, slug, runner)}
    text = "\n".join(path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".ipynb"))
    found = [module for name, module in PRELOADED.items() if re.search(rf"\b(import|from) {name}\b", text)]
    notebooks = any(path.suffix == ".ipynb" for path in files)
    return [*found, *(["ipykernel.kernelapp"] if notebooks else [])]


def _named(config) -> list[str]:
    """The questions of the files on the command line, if nothing but files of questions stands there."""
    root, known = config.kb_root, slugs(config.kb_root)
    paths = [Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args]
    found = {_slug(path, root, known) for path in paths}
    return sorted(found) if all(path.is_file() for path in paths) and found <= set(known) else []


def _gpu() -> str | None:
    """The name of the GPU that the backend uses, or None."""
    backend = os.environ["KERAS_BACKEND"]
    if backend == "tensorflow":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # it says at length that there is none
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else None
    if backend == "jax":
        import jax

        return jax.devices()[0].device_kind if jax.default_backend() == "gpu" else None
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


# ------------------------------------------------------------------------------------------- collection


def pytest_ignore_collect(collection_path, config):
    """With --question, import no other question's files."""
    root, wanted = config.kb_root, _wanted(config)
    known = slugs(root)
    if wanted and {*wanted} <= {*known} and collection_path.is_file():
        slug = _slug(collection_path, root, known)
        return True if slug and slug not in wanted else None
    return None


def _wanted(config) -> list[str]:
    """The questions that this run is about; empty for all."""
    asked = config.getoption("--study") or config.getoption("--question") or ""
    found = [slug for slug in asked.split(",") if slug]
    unknown = [slug for slug in found if slug not in slugs(config.kb_root)]
    if unknown:
        raise pytest.UsageError(
            f"there is no question `{unknown[0]}`: its page would be docs/questions/{unknown[0]}.md"
        )
    return found


def pytest_collect_file(file_path, parent):
    root = parent.config.kb_root
    if file_path.suffix == ".py" and file_path.parent == root / "snippets":
        return SnippetFile.from_parent(parent, path=file_path)
    if file_path.suffix == ".ipynb" and file_path.parent == root / "notebooks":
        return NotebookFile.from_parent(parent, path=file_path)
    return None


def pytest_collection_modifyitems(config, items):
    root, study = config.kb_root, config.getoption("--study")
    wanted = _wanted(config)
    known = slugs(root)
    for slug in wanted:
        if slug not in known:
            raise pytest.UsageError(f"there is no question `{slug}`: there are {', '.join(known)}.")
    for item in items:
        item.kb_slug = _slug(item.path, root, known)
        item.user_properties.append(("question", item.kb_slug))  # travels with the report, from worker processes too
    asked = [item for item in items if not wanted or item.kb_slug in wanted]
    if study:
        asked = [item for item in asked if item.get_closest_marker("study")]
    if config.getoption("--update"):
        asked = [item for item in asked if isinstance(item, SnippetItem | NotebookItem)]
    elif config.getoption("--record"):
        asked = [item for item in asked if item.kb_slug]
    config.hook.pytest_deselected(items=[item for item in items if item not in asked])
    # programs and claims first: what fails, fails early
    items[:] = sorted(asked, key=lambda item: isinstance(item, NotebookItem))


def pytest_itemcollected(item):
    """Skip what is about another backend: claims marked `only`, programs named `…_torch.py` and the like."""
    backend = os.environ["KERAS_BACKEND"]
    marker = item.get_closest_marker("only")
    if marker and backend not in marker.args:
        item.add_marker(pytest.mark.skip(reason=marker.kwargs["why"]))
    here = item.config.getoption("--runner") == "gpu" or item.config.getoption("--rehearse")
    if item.get_closest_marker("gpu") and not here:
        item.add_marker(pytest.mark.skip(reason="measured on a GPU only"))
    if item.get_closest_marker("cpu") and item.config.getoption("--runner") == "gpu":
        item.add_marker(pytest.mark.skip(reason="about a processor"))
    for holds in item.iter_markers("holds"):
        if not holds_in(holds.args, _installed):
            why = f"holds in {' or '.join(holds.args)}: {holds.kwargs['why']}"
            refuted = (pytest.fail.Exception, AssertionError, holds.kwargs.get("raises", AssertionError))
            item.add_marker(pytest.mark.xfail(reason=why, raises=refuted, strict=True))  # which proves the other side
    named = backend_of(item.path)
    if isinstance(item, SnippetItem) and not holds_in([keras_for(item.path)], _installed):
        item.add_marker(pytest.mark.skip(reason=f"{item.path.name} needs {keras_for(item.path)}"))
    if isinstance(item, SnippetItem) and named not in (None, backend):
        item.add_marker(pytest.mark.skip(reason=f"{item.path.name} is a program for {BACKENDS[named]}"))


def _installed(name: str) -> str | None:
    """The version of a package that is installed: of the next Keras, where a nightly one takes its place."""
    for called in (f"{name}-nightly", name):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(called)
    return None


def _slug(path: Path, root: Path, known: list[str]) -> str | None:
    if path.parent == root / "snippets":
        return owner(path, known)
    inside = path.parent in (root / "tests/questions", root / "notebooks")
    return slug_of(path) if inside else None


def pytest_collection_finish(session):
    config = session.config
    programs = [item.path for item in session.items if isinstance(item, SnippetItem)]
    if programs and not config.option.collectonly and not config.getoption("--update") and not _is_worker(config):
        from kb import snippet

        # beside the tests, on another core: a program spends most of its time importing
        pool = ThreadPoolExecutor(max_workers=1)
        config.kb_programs = {path: pool.submit(snippet.run_program, path) for path in programs}


def _is_worker(config) -> bool:
    return hasattr(config, "workerinput")  # of pytest-xdist, which keeps both cores busy by itself


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """On a GPU, what is marked so runs alone: after the programs beside it, and while every other worker waits."""
    if item.config.getoption("--runner") != "gpu":
        return (yield)
    alone = item.get_closest_marker("gpu")
    if alone:
        wait(item.config.kb_programs.values())
    with Path(tempfile.gettempdir(), f"dropout-answered-{os.getuid()}.gpu").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report, config):
    """What `make update` rewrote was not skipped."""
    if report.skipped and REWRITTEN in str(report.longrepr):
        return "rewritten", "w", "REWRITTEN"
    return None


class SnippetFile(pytest.File):
    """A program in `snippets/`."""

    def collect(self):
        yield SnippetItem.from_parent(self, name="program")


class NotebookFile(pytest.File):
    """A notebook in `notebooks/`."""

    def collect(self):
        yield NotebookItem.from_parent(self, name="notebook")


class _Item(pytest.Item):
    """A test whose failure is one sentence."""

    def repr_failure(self, excinfo, style=None):
        return str(excinfo.value) if isinstance(excinfo.value, Problem) else super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, 0, f"{self.path.parent.name}/{self.path.name}"  # pytest wants a line of what it skips


class SnippetItem(_Item):
    """Run a snippet in this process, every line of it, and once more as a program of its own."""

    def runtest(self):
        from kb import snippet

        name, source = f"snippets/{self.path.name}", self.path.read_text(encoding="utf-8")
        printed, never_run = snippet.run_here(self.path)
        if self.config.getoption("--update"):
            self.path.write_text(snippet.with_output(source, printed), encoding="utf-8")
            pytest.skip(REWRITTEN)
        snippet.check(name, source, "".join(text for _, text in printed))
        if never_run:
            raise Problem(f"{name}:{never_run[0]}: this line never runs when the program does.")
        program = self.config.kb_programs.get(self.path)
        printed, seconds = program.result() if program else snippet.run_program(self.path)
        snippet.check(f"python {name}", source, printed)
        self.user_properties.append(("program", {"name": self.path.name, "seconds": seconds}))


class NotebookItem(_Item):
    """Execute a notebook and compare its outputs with the stored ones."""

    def runtest(self):
        # what jsonschema checks IRIs with, which notebooks do not have, builds a grammar for two seconds when imported
        sys.modules.setdefault("rfc3987_syntax", None)
        import nbformat

        from kb import notebook

        name = f"notebooks/{self.path.name}"
        fresh = notebook.run(self.path, name)
        if self.config.getoption("--update"):
            notebook.save(fresh, self.path)
            pytest.skip(REWRITTEN)
        same_runner = runner_name(self.config) == evidence.DEFAULT
        notebook.check(nbformat.read(self.path, as_version=4), fresh, name, same_runner)


# ----------------------------------------------------------------------------------------------- claims


@pytest.fixture
def claim(request):
    """Measures and records: see `Measure`."""
    measure = Measure(request)
    request.node.kb_measure = measure
    yield measure
    if not measure.values and not getattr(request.node, "kb_failed", False):
        pytest.fail(f"{request.node.name} measured nothing: a claim calls claim.exact, close, sampled or trained.")


@pytest.fixture
def program(request):
    """Runs a snippet by name, in this process, and returns its variables: `program("scope_wrong")["on"]`."""

    def run(name: str) -> dict:
        import keras

        if not (request.config.kb_root / f"snippets/{name}.py").exists():
            pytest.fail(f"there is no snippets/{name}.py.", pytrace=False)
        keras.utils.clear_session()
        return runpy.run_path(str(request.config.kb_root / f"snippets/{name}.py"), run_name="__main__")

    return run


@dataclass(frozen=True)
class Study:
    """How long an experiment may be: `short` in an ordinary run, in full when it is recorded with --study."""

    short: bool


@pytest.fixture(scope="session")
def study(pytestconfig):
    """For tests marked `study`: `study.short` says which form to run. A short one only has to agree with the record."""
    return Study(short=not pytestconfig.getoption("--study"))


@pytest.fixture(scope="session")
def small(pytestconfig):
    """For tests marked `gpu`: whether this is a rehearsal, in which sizes are tiny and no bound is checked."""
    return bool(pytestconfig.getoption("--rehearse"))


class Measure:
    """What a claim measures. Each call checks one value, fails with one sentence, and keeps it for the record."""

    def __init__(self, request):
        self.values: dict[str, Value] = {}
        self._where = f"{request.node.kb_slug}.{request.node.originalname}"
        config, slug, test = request.config, request.node.kb_slug, request.node.originalname
        runner = runner_name(config)
        self.is_short = bool(request.node.get_closest_marker("study")) and not config.getoption("--study")
        self.is_short |= bool(request.node.get_closest_marker("gpu") and config.getoption("--rehearse"))
        self.is_recorded = config.getoption("--record") and not self.is_short
        old = {} if self.is_recorded else evidence.load(config.kb_root, runner)["claims"]
        entry = old.get(slug, {}).get(test)
        fresh = entry and not evidence.stale(config.kb_root, slug, entry, runner)
        # in versions in which it has to fail, it is to fail by itself and not for being unlike its record
        here = all(holds_in(marker.args, _installed) for marker in request.node.iter_markers("holds"))
        self._recorded = {k: Value(**v) for k, v in entry["values"].items()} if fresh and here else {}

    def exact(self, name: str, value, expected) -> None:
        """Shapes, dtypes, counts, error messages: equal."""
        value, expected = _plain(value), _plain(expected)
        if value is None:
            pytest.fail(f"{self._where}: {name}: None cannot be recorded: say what is none of what.", pytrace=False)
        self._keep(name, Value("exact", value, expected), value == expected, f"{value!r} is not {expected!r}")

    def close(self, name: str, value, expected, tolerance: float) -> None:
        """A number that arithmetic decides: within `tolerance` of `expected`."""
        value, expected = float(value), float(expected)
        holds = abs(value - expected) <= tolerance
        self._keep(name, Value("close", value, expected, tolerance), holds, f"{value} is not {expected} ± {tolerance}")

    def sampled(self, name: str, value, expected, error: float, n: int) -> None:
        """A number that chance decides: within 5 standard errors of `expected`; `error` is computed from `n` draws."""
        value, expected, error = float(value), float(expected), float(error)
        holds = 0 < error < math.inf and abs(value - expected) <= SIGMAS * error
        value_ = Value("sampled", value, expected, error=error, n=int(n))
        self._keep(name, value_, holds, f"{value} is not {expected} ± {SIGMAS} × {error:.2g}")

    def share(self, name: str, hits, probability: float) -> None:
        """The share of true values among independent draws, each true with `probability`."""
        n = hits.size
        error = math.sqrt(probability * (1 - probability) / n)
        self.sampled(name, hits.mean(), probability, error, n)

    def trained(self, name: str, differences, above: float | None = None, below: float | None = None) -> None:
        """The mean of paired differences: its 95 % interval lies `above` and `below` what the sentence says.

        Another processor rounds in another way and trains another network. So what is recorded keeps a quarter of the
        interval's half-width away from the bound: what holds by a hair here fails elsewhere."""
        self._interval("trained", name, differences, above, below, room=1 / 8 if self.is_recorded else 0)

    def _interval(
        self, kind: str, name: str, numbers, above: float | None, below: float | None, room: float = 0
    ) -> None:
        from scipy import stats

        interval = stats.ttest_1samp(numbers, 0).confidence_interval(0.95)
        low, high, mean = (float(x) for x in (interval.low, interval.high, sum(numbers) / len(numbers)))
        if above is None and below is None:
            raise ValueError(f"a {kind} claim says what its interval lies above or below")
        room *= high - low
        holds = (above is None or low - room > above) and (below is None or high + room < below)
        value = Value(kind, mean, low=low, high=high, n=len(numbers))
        why = f"[{low:.3f}, {high:.3f}] is not within ({above}, {below})"
        if room:
            why += " by a quarter of its half-width: take more replicas, or say less"
        self._keep(name, value, holds, why)

    def timed(self, name: str, rounds, above: float | None = None, below: float | None = None) -> None:
        """Times, or ratios of times, one for each round: the 95 % interval of their mean lies within the bounds."""
        self._interval("timed", name, rounds, above, below)

    def _keep(self, name: str, value: Value, holds: bool, why: str) -> None:
        if name in self.values:
            pytest.fail(f"{self._where}: {name} is measured twice.", pytrace=False)
        self.values[name] = value
        try:
            json.dumps(asdict(value), allow_nan=False)
        except (TypeError, ValueError):
            pytest.fail(f"{self._where}: {name}: {value.value!r} cannot be recorded.", pytrace=False)
        if not holds and not self.is_short:
            pytest.fail(f"{self._where}: {name}: {why}.", pytrace=False)
        before = self._recorded.get(name)
        if self._recorded and not (before and evidence.agree(before, value)):
            recorded = before.value if before else "nothing"
            pytest.fail(
                f"{self._where}: {name}: measured {value.value}, recorded {recorded}: run `make record`.", pytrace=False
            )


def _plain(value):
    """A value as JSON keeps it: NumPy's scalars and arrays, and tuples, become Python's own numbers and lists."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


# ----------------------------------------------------------------------------------------------- record


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    measure = getattr(item, "kb_measure", None)
    if call.excinfo:
        item.kb_failed = True  # expected or not
    if measure and report.when == "call" and not hasattr(report, "wasxfail"):
        values = {name: asdict(value) for name, value in measure.values.items()}
        if not measure.is_short:
            report.user_properties.append(("claim", {"test": item.originalname, "values": values}))
    return report


def pytest_runtest_logreport(report):
    """Collect outcomes and values, in the process that writes the record."""
    properties = dict(report.user_properties)
    slug, claim, config = properties.get("question"), properties.get("claim"), _config
    timed = properties.get("program")
    if timed and report.when == "call":
        config.kb_seconds.setdefault(slug, {})[timed["name"]] = timed["seconds"]
    config.kb_seen.add(report.nodeid.partition("[")[0])
    if slug and report.failed:
        config.kb_failed.add(slug)
    seconds = config.kb_setup.pop(report.nodeid, 0) + report.duration
    if report.when == "setup":
        config.kb_setup[report.nodeid] = seconds  # a claim's time includes the experiment that its fixture runs
    if claim and report.when == "call":
        # the cases of a parametrized claim are one claim
        entry = config.kb_ran.setdefault(slug, {}).setdefault(
            claim["test"], {"outcome": "passed", "seconds": 0.0, "values": {}}
        )
        entry["outcome"] = report.outcome if entry["outcome"] == "passed" else entry["outcome"]
        entry["seconds"] += seconds
        entry["values"] |= {name: Value(**fields) for name, fields in claim["values"].items()}


def pytest_sessionfinish(session, exitstatus):
    config, root = session.config, session.config.kb_root
    for program in config.kb_programs.values():
        program.cancel()
    if not config.getoption("--record") or exitstatus not in (0, 1) or _is_worker(config):
        return
    say = config.pluginmanager.get_plugin("terminalreporter")
    day, entries, study = datetime.date.today().isoformat(), {}, bool(config.getoption("--study"))
    runner = runner_name(config)
    for slug, tests in config.kb_ran.items():
        if slug in config.kb_failed:
            say.write_line(f"\n{slug}: not recorded, because something of it failed.", red=True)
            continue
        left_out = [] if study else [test for test in _whole(root, slug) if test not in config.kb_seen]
        if left_out:
            say.write_line(f"\n{slug}: not recorded, because {left_out[0]} did not run with the rest.", red=True)
            config.kb_failed.add(slug)
            continue
        if evidence.hashes(root, slug, study, runner) != config.kb_before[slug]:
            say.write_line(f"\n{slug}: not recorded, because its files changed while it ran.", red=True)
            config.kb_failed.add(slug)
            continue
        sentences = {c.test: c.sentence for c in claims(root, slug)}
        try:
            entries[slug] = {
                test: evidence.entry(
                    root,
                    slug,
                    evidence.sentence(sentences[test], run["values"]),
                    test=test,
                    day=day,
                    study=study,
                    runner=runner,
                    **run,
                )
                for test, run in tests.items()
            }
        except Problem as problem:
            say.write_line(f"\n{slug}: not recorded: {problem}", red=True)
            config.kb_failed.add(slug)
    every = config.kb_ran.keys() >= set(slugs(root))  # a run of some files is not the whole
    whole = every and not study and not config.getoption("--question") and not config.kb_failed
    if config.kb_failed:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if not entries:
        return
    try:
        evidence.write(root, runner, environment(config), entries, whole, config.kb_seconds)
    except Problem as problem:
        pytest.exit(str(problem), 4)
    say.write_line(f"\nrecorded in evidence/{runner}.json: {', '.join(sorted(entries))}", green=True)


def _whole(root: Path, slug: str) -> list[str]:
    """All tests of a question: its claims, its programs, its notebook."""
    notebook = f"notebooks/{slug}.ipynb"
    return [
        *(f"tests/questions/test_{module(slug)}.py::{claim.test}" for claim in claims(root, slug)),
        *(f"snippets/{path.name}::program" for path in snippets(root, slug)),
        *([f"{notebook}::notebook"] if (root / notebook).exists() else []),
    ]


def runner_name(config) -> str:
    """The name of this run's record: `<device>-<backend>`."""
    device = "cpu"
    if config.getoption("--runner") == "gpu":
        device = evidence.word(_gpu() or "gpu")
    return f"{device}-{os.environ['KERAS_BACKEND']}"


def environment(config) -> dict[str, str]:
    """Where this run takes place: device and versions, no host and no path."""
    backend = os.environ["KERAS_BACKEND"]
    packages = ("keras", backend, "numpy", "scikit-learn")
    gpu = _gpu() if config.getoption("--runner") == "gpu" else None
    return {
        "device": gpu or f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "backend": backend,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        **({"driver": _driver(), "cuda": _cuda()} if gpu else {}),
    }


def _driver() -> str:
    """The version of the GPU's driver, as its own tool says it."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def _cuda() -> str:
    """The CUDA version that the backend was built for or brings, and cuDNN's."""
    backend = os.environ["KERAS_BACKEND"]
    if backend == "torch":
        import torch

        return f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    if backend == "tensorflow":
        import tensorflow as tf

        build = tf.sysconfig.get_build_info()
        return f"{build.get('cuda_version', 'unknown')}, cuDNN {build.get('cudnn_version', 'unknown')}"
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    versions = [next((found[n] for n in sorted(found) if n.startswith(p)), "unknown") for p in CUDA_PACKAGES]
    return "{}, cuDNN {}".format(*versions)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    return re.sub(r"\((?:R|TM)\)", "", name)
