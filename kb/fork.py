"""Start programs and kernels as forks of one process that has imported Keras; imports are most of their time.

Python's own fork server does the forking. It imports and does nothing else: it touches no device, so that a fork of it
stands where a new process stands after the same imports. Where forking is not safe (another system than Linux, a GPU)
or not wanted (`--fresh`), everything starts as a new process.
"""

import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import EntryPoint
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path

HASH_SEED = "0"  # of all forks, so that a set's order is the same in each run
_on = False


def start(preload: list[str]) -> None:
    """Start the server, which imports `preload` while the caller goes on; from now on `is_on` is true."""
    global _on
    if sys.platform != "linux" or _on:
        return
    multiprocessing.set_forkserver_preload([*preload, "pytest"])  # each child imports its parent's program, pytest
    with _environment(PYTHONHASHSEED=HASH_SEED), _no_errors_shown():
        forkserver.ensure_running()
    _on = True


def is_on() -> bool:
    """Whether programs and kernels are forked."""
    return _on


def run(path: Path, folder: str, timeout: int) -> subprocess.CompletedProcess:
    """Run a Python file as `python <path>` would in `folder`. Raises `subprocess.TimeoutExpired`."""
    with tempfile.TemporaryDirectory() as aside:
        files = [str(Path(aside, name)) for name in ("out", "err")]
        process = _fork(_program, str(path), folder, *files)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(str(path), timeout)
        out, err = (Path(file).read_text(encoding="utf-8") for file in files)
    return subprocess.CompletedProcess(str(path), process.exitcode, out, err)


def choose_kernels() -> None:
    """Let jupyter_client start Python kernels as forks if they are on, through its own seam for it, a provisioner."""
    from jupyter_client.provisioning import KernelProvisionerFactory

    factory = KernelProvisionerFactory.instance()
    factory.provisioners["forked"] = EntryPoint("forked", "kb.forked_kernel:ForkedKernel", factory.GROUP_NAME)
    factory.default_provisioner_name = "forked" if _on else "local-provisioner"


class Forked:
    """A forked process with the few methods of `subprocess.Popen` that a provisioner calls."""

    stdin = stdout = stderr = None

    def __init__(self, connection_file: str, folder: str | None, environment: dict[str, str]):
        self._process = _fork(_kernel, connection_file, folder, environment)
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _fork(target, *arguments) -> ForkServerProcess:
    process = multiprocessing.get_context("forkserver").Process(target=target, args=arguments)
    process.start()
    return process


def _program(path: str, folder: str, out: str, err: str) -> None:
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    sys.argv, sys.path[0] = [path], str(Path(path).parent)
    runpy.run_path(path, run_name="__main__")


def _kernel(connection_file: str, folder: str | None, environment: dict[str, str]) -> None:
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    if folder:
        os.chdir(folder)
    sys.argv, sys.path[0] = ["ipykernel_launcher"], ""
    # what these modules read from the environment when they are imported, which was before
    if environment.get("PYTHONWARNINGS") == "ignore":
        warnings.simplefilter("ignore")
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    IPKernelApp.launch_instance(argv=["-f", connection_file, f"--IPKernelApp.parent_handle={os.getppid()}"])


@contextlib.contextmanager
def _no_errors_shown():
    # the server and its kernels inherit where errors go, and TensorFlow's start-up lines say nothing
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _environment(**names: str):
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
