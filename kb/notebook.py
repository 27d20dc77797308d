"""Execute a notebook with pytest-notebook and compare what comes out with what it stores.

Errors come first: a cell that raises, a dead kernel, a timeout and a missing kernel each give one sentence with
notebook and cell. Then text by the rule of `compare`, figures by what they plot.
"""

import base64
import os
import re
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from pytest_notebook.execution import execute_notebook
from pytest_notebook.post_processors import coalesce_streams

from kb import compare, fork
from kb.question import Problem, clause, figure_tolerance

TIMEOUT = 300  # seconds for a cell


class _Live(nbformat.NotebookNode):
    """A notebook that pytest-notebook executes in place, so that a dead kernel leaves its trace in it."""

    def __deepcopy__(self, memo):
        return self


def run(path: Path, name: str, timeout: int = TIMEOUT) -> nbformat.NotebookNode:
    """Execute a notebook in its own folder. Raises `Problem` if a cell does not come to its end."""
    try:
        notebook = _Live(nbformat.read(path, as_version=4))
    except Exception:  # of many kinds: not JSON, no cells, another format
        raise Problem(f"{name}: this is not a notebook.") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    fork.choose_kernels()
    try:
        result = execute_notebook(
            notebook,
            cwd=str(path.parent),
            timeout=timeout,
            exec_env={"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONHASHSEED": fork.HASH_SEED, "PYTHONWARNINGS": "ignore"},
        )
    except NoSuchKernel as error:
        raise Problem(f"{name}: there is no kernel called “{error.name}” on this machine.") from None
    except DeadKernelError:
        raise Problem(f"{name}: cell {_reached(notebook)}: the kernel died.") from None
    if isinstance(result.exec_error, CellTimeoutError):
        raise Problem(f"{name}: cell {_reached(notebook)}: still running after {timeout} seconds.")
    for i, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                raise Problem(f"{name}: cell {i}: it raises {output.ename}: {clause(output.evalue)}.")
    if result.exec_error:
        raise Problem(f"{name}: it cannot be executed: {clause(result.exec_error)}.")
    notebook, _ = coalesce_streams(notebook, {})
    return notebook


def check(stored: nbformat.NotebookNode, fresh: nbformat.NotebookNode, name: str, same_runner: bool = True) -> None:
    """Compare a fresh run with the stored outputs. Raises `Problem` for the first cell that differs.

    `same_runner` says whether the runner that stored them ran it, which draws the same random numbers.
    """
    for i, (old, new) in enumerate(zip(stored.cells, fresh.cells, strict=True), start=1):
        a, b = _printed(old), _printed(new)
        if [kind for kind, _ in a] != [kind for kind, _ in b]:
            kinds = " and ".join(", ".join(kind for kind, _ in x) or "nothing" for x in (a, b))
            raise Problem(f"{name}: cell {i}: stored and fresh outputs are of different kinds: {kinds}.")
        for (kind, x), (_, y) in zip(a, b, strict=True):
            problem = _differs(kind, x, y, figure_tolerance(old), same_runner)
            if problem:
                raise Problem(f"{name}: cell {i}: the stored {kind} is not what a run gives: {problem}.")


def save(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook with its fresh outputs, without what differs from machine to machine."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
    }
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k == "tags"}
        for output in cell.get("outputs", []):
            if "data" in output:
                output.metadata = {}
                # a figure's text form, <Figure size …>, says nothing
                if any(k.startswith("image/") for k in output.data):
                    output.data.pop("text/plain", None)
                if "image/svg+xml" in output.data:
                    output.data["image/svg+xml"] = re.sub(
                        r"\s*<metadata>.*?</metadata>", "", output.data["image/svg+xml"], flags=re.DOTALL
                    )
    nbformat.write(nbformat.from_dict(dict(notebook)), path)


def _reached(notebook: nbformat.NotebookNode) -> int:
    """The number of the cell that was running: the last one that has a count, else the first code cell."""
    code = [(i, c) for i, c in enumerate(notebook.cells, start=1) if c.cell_type == "code" and c.source]
    started = [i for i, c in code if c.execution_count is not None]
    return started[-1] if started else code[0][0]


def _printed(cell: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """(kind, content) of each output that the site shows."""
    found = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            if output.name == "stdout":
                found.append(("text", output.text))
            continue
        data = output.get("data", {})
        kind = next((k for k in ("image/svg+xml", "image/png", "text/markdown", "text/plain") if k in data), None)
        if kind:
            found.append((kind, "".join(data[kind])))
    return found


def _differs(kind: str, old: str, new: str, tolerance: float | None, same_runner: bool) -> str | None:
    if not same_runner:
        rules = {"image/svg+xml": compare.svg_difference_between_runners, "image/png": lambda old, new: None}
        return rules.get(kind, compare.difference_between_runners)(old, new)
    if kind == "image/svg+xml":
        return compare.svg_difference(old, new, tolerance or compare.SVG_TOLERANCE)
    if kind == "image/png":
        return compare.png_difference(base64.b64decode(old), base64.b64decode(new))
    return compare.difference(old, new)


os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
