"""Forked programs and kernels behave as new processes do."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from kb import fork, notebook, snippet

PROGRAM = """
import json, os, sys
import keras
print(json.dumps({
    "name": __name__, "file": __file__, "argv": sys.argv, "first path": sys.path[0], "folder": os.getcwd(),
    "backend": keras.backend.backend(), "loaded here": "kb" in sys.modules["__main__"].__dict__,
    "draws": [float(x) for x in keras.ops.convert_to_numpy(keras.random.uniform((3,), seed=1))],
}))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs and kernels are forked on Linux only")


@pytest.fixture(scope="module", autouse=True)
def server():
    fork.start(["keras"])  # unless the run has started one


def test_a_forked_program_sees_what_a_new_process_sees(tmp_path):
    path, folder = tmp_path / "program.py", tmp_path / "empty"
    path.write_text(PROGRAM)
    folder.mkdir()
    forked = fork.run(path, str(folder), 60)
    fresh = subprocess.run([sys.executable, str(path)], cwd=folder, capture_output=True, text=True, check=True)
    assert forked.returncode == 0, forked.stderr
    assert json.loads(forked.stdout) == json.loads(fresh.stdout)


def test_two_forked_programs_do_not_see_each_other(tmp_path):
    path = tmp_path / "program.py"
    path.write_text("import keras\nprint(getattr(keras, 'left_behind', 'nothing'))\nkeras.left_behind = 'something'\n")
    assert [fork.run(path, str(tmp_path), 60).stdout for _ in range(2)] == ["nothing\n"] * 2


def test_a_program_run_here_leaves_its_folder_to_those_forked_meanwhile(tmp_path):
    path = tmp_path / "program.py"
    path.write_text("import os\nprint(os.getcwd())\n")
    printed, _ = snippet.run_here(path)
    folder = Path("".join(text for _, text in printed).strip())
    assert folder.is_dir() and folder != Path.cwd()


def test_a_forked_program_that_fails_says_why(tmp_path):
    path = tmp_path / "program.py"
    path.write_text("print('so far', flush=True)\nraise ValueError('no further')\n")
    run = fork.run(path, str(tmp_path), 60)
    assert (run.returncode, run.stdout) == (1, "so far\n")
    assert run.stderr.strip().endswith("ValueError: no further")


def test_a_forked_program_that_hangs_is_ended(tmp_path):
    path = tmp_path / "program.py"
    path.write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(subprocess.TimeoutExpired):
        fork.run(path, str(tmp_path), 1)


@pytest.mark.parametrize("forked", [True, False])
def test_a_notebook_is_executed_alike(tmp_path, monkeypatch, forked):
    monkeypatch.setattr(fork, "_on", forked)
    cells = [
        "import os, sys, keras\nprint(os.getcwd(), __name__, sys.flags.hash_randomization)",
        "print(list({'b', 'a', 'c'}))",  # a set's order follows the hash seed
        "import matplotlib\nprint(matplotlib.get_backend())",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    path = Path(tmp_path, "book.ipynb")
    nbformat.write(book, path)
    printed = ["".join(o.text for o in cell.outputs) for cell in notebook.run(path, "book.ipynb").cells]
    assert printed[0].startswith(f"{tmp_path} __main__")
    assert printed[1] == SEEN.setdefault("order", printed[1])
    assert "inline" in printed[2]


SEEN: dict[str, str] = {}  # what the first of the two printed
