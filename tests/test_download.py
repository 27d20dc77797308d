"""The notebook that a reader downloads runs by itself, in an empty folder."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from kb import evidence, notebook
from kb.plugin import runner_name

ROOT = Path(__file__).parent.parent
# where `make check` builds the site, or `make site`
BUILT = next(
    (b for b in (ROOT / ".cache/check/notebooks", ROOT / "site/notebooks") if b.exists()), ROOT / "site/notebooks"
)


def test_a_downloaded_notebook_brings_its_programs_along(tmp_path, request):
    built = BUILT / "scope/scope.ipynb"
    if not built.exists():
        pytest.fail("the site is not built: run `make site` first.", pytrace=False)
    downloaded = Path(shutil.copy(built, tmp_path))
    fresh = notebook.run(downloaded, "the downloaded scope.ipynb")
    stored = nbformat.read(ROOT / "notebooks/scope.ipynb", as_version=4)
    own = len(fresh.cells) - len(stored.cells)
    assert own == 2, "one cell writes the program, one the figures' style"
    fresh.cells = fresh.cells[own:]
    notebook.check(stored, fresh, "the downloaded scope.ipynb", runner_name(request.config) == evidence.DEFAULT)


def test_every_download_writes_the_files_that_it_imports():
    for path in sorted(BUILT.glob("*/*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        written = [c["source"].split()[1] for c in cells if "".join(c["source"]).startswith("%%writefile")]
        code = "\n".join("".join(c["source"]) for c in cells)
        for snippet in sorted((ROOT / "snippets").glob("*.py")):
            if f"from {snippet.stem} import" in code:
                assert snippet.name in written, f"{path.name} imports {snippet.stem} and does not bring it along"
