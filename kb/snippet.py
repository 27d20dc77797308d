"""Run a snippet: what it prints, which lines it leaves out, and the `#>` lines that say what it should print."""

import ast
import contextlib
import functools
import io
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kb import fork
from kb.compare import difference
from kb.question import Problem, clause

TIMEOUT = 300  # seconds for a program
_offline = False
_reached: list[str] = []  # hosts that the running program asked for


def expected_output(source: str) -> tuple[list[int], list[str]]:
    """The `#>` lines of a program and their line numbers: read top to bottom, they are its standard output."""
    found = [(i, line.strip()) for i, line in enumerate(source.splitlines(), start=1) if line.strip()[:2] == "#>"]
    return [i for i, _ in found], [text[2:].removeprefix(" ") for _, text in found]


def with_output(source: str, printed: list[tuple[int, str]]) -> str:
    """The program with its `#>` lines rewritten: what each statement printed stands below it."""
    ends = {line: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt) for line in _lines(node)}
    below: dict[int, str] = {}
    for line, text in printed:
        end = ends[line].end_lineno
        below[end] = below.get(end, "") + text
    made = []
    for i, line in enumerate(source.splitlines(), start=1):
        if line.strip()[:2] != "#>":
            made.append(line)
        if i in below:
            indent = " " * (len(line) - len(line.lstrip()))
            made += [f"{indent}#> {text}".rstrip() for text in below[i].rstrip("\n").split("\n")]
    return "\n".join(made) + "\n"


def check(name: str, source: str, printed: str) -> None:
    """Compare what a program printed with its `#>` lines. Raises `Problem` naming the line."""
    lines, expected = expected_output(source)
    got = printed.rstrip("\n").splitlines()
    for number, want, line in zip(lines, expected, got, strict=False):
        problem = difference(want, line)
        if problem:
            raise Problem(f"{name}:{number}: {problem.removeprefix('line 1: ')}.")
    if len(expected) != len(got):
        raise Problem(f"{name}: it prints {len(got)} lines, and {len(expected)} are written beside its prints.")


def run_here(path: Path) -> tuple[list[tuple[int, str]], list[int]]:
    """Run a program in this process: (line, text) of everything it prints, and the lines that never ran.

    Raises `Problem` if it fails or reaches for the network.
    """
    import coverage

    name = f"snippets/{path.name}"
    if "import keras" in path.read_text(encoding="utf-8"):
        import keras

        keras.utils.clear_session()  # automatic names such as `dense_1` count from the start
    out, argv = _Printed(str(path)), sys.argv
    _reached.clear()
    cov = coverage.Coverage(data_file=None, include=[str(path)], config_file=False)
    cov.clear_exclude()  # a comment does not spare a line
    cov.start()
    try:
        with contextlib.chdir(tempfile.mkdtemp(dir=_folders().name)), _no_network():
            sys.path.insert(0, str(path.parent))
            sys.argv = [str(path)]
            with contextlib.redirect_stdout(out):
                runpy.run_path(str(path), run_name="__main__")
    except NetworkUse as error:
        raise Problem(f"{name}:{_line_of(error, path)}: {NO_NETWORK}") from None
    except SystemExit as error:
        raise Problem(f"{name}:{_line_of(error, path)}: the program ends itself: a snippet runs to its end.") from None
    except SyntaxError as error:
        raise Problem(f"{name}:{error.lineno}: this is not valid Python: {error.msg}.") from None
    except Exception as error:
        why = f"{type(error).__name__}: {clause(error)}"
        raise Problem(f"{name}:{_line_of(error, path)}: the program fails: {why}.") from error
    finally:
        cov.stop()
        sys.argv = argv
        sys.path.remove(str(path.parent))
    if _reached:  # and the program caught what stopped it
        raise Problem(f"{name}: {NO_NETWORK}")
    return out.printed, cov.analysis2(str(path))[3]


@functools.cache
def _folders() -> tempfile.TemporaryDirectory:
    """Where programs run in this process, kept to its end: a fork begins in the folder in which its parent stood."""
    return tempfile.TemporaryDirectory()


def run_program(path: Path) -> tuple[str, float]:
    """Run `python snippets/<name>.py` in an empty folder, as a reader does: what it prints, and how many seconds."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as empty:
        try:
            if fork.is_on():
                run = fork.run(path, empty, TIMEOUT)
            else:
                run = subprocess.run(
                    [sys.executable, str(path)], cwd=empty, capture_output=True, text=True, timeout=TIMEOUT, check=False
                )
        except subprocess.TimeoutExpired:
            raise Problem(f"snippets/{path.name}: the program did not end within {TIMEOUT} seconds.") from None
    if run.returncode:
        last = run.stderr.strip().splitlines()[-1:]
        raise Problem(f"snippets/{path.name}: as a program of its own it fails: {clause(*last or ['no message'])}.")
    return run.stdout, time.monotonic() - start


NO_NETWORK = "the program needs the network: a snippet runs without."


class NetworkUse(BaseException):
    """Raised inside a snippet that reaches for the network; no `except Exception` swallows it."""


class _Printed(io.StringIO):
    """Standard output that remembers which line of a program wrote what."""

    def __init__(self, filename: str):
        super().__init__()
        self.filename, self.printed = filename, []

    def write(self, text: str) -> int:
        frame, line = sys._getframe(1), 1
        while frame:
            if frame.f_code.co_filename == self.filename:
                line = frame.f_lineno
                break
            frame = frame.f_back
        self.printed.append((line, text))
        return len(text)


NETWORK = {  # Python's own audit events, and which argument names the host
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.connect": 1,
    "socket.sendto": 1,
}


def _guard(event: str, args: tuple) -> None:
    if _offline and event in NETWORK:
        host = args[NETWORK[event]]
        host = host[0] if isinstance(host, tuple) else host
        if host not in ("localhost", "127.0.0.1", "::1", None) and not str(host).startswith("/"):
            _reached.append(str(host))
            raise NetworkUse(host)


@contextlib.contextmanager
def _no_network():
    global _offline
    if not getattr(_guard, "hooked", False):
        sys.addaudithook(_guard)  # cannot be removed, so a flag switches it
        _guard.hooked = True
    _offline = True
    try:
        yield
    finally:
        _offline = False


def _lines(node: ast.stmt) -> range:
    # of a compound statement only its head: its body's statements come later in the walk and claim their own lines
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _line_of(error: BaseException, path: Path) -> int:
    line, trace = 1, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
