"""What an author can get wrong and only a run can see: one clear sentence each. No TensorFlow is needed."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest

from kb import compare, notebook, snippet
from kb.question import Problem

REPOSITORY = Path(__file__).parent.parent.parent
NAME = "notebooks/half.ipynb"
PROOF = "tests/questions/test_half.py"
PYPROJECT = '[tool.pytest.ini_options]\npythonpath = ["snippets"]\n'


def looked_at(project, look):
    """What `look` gives; it may change no file."""
    before = project.files()
    try:
        return look()
    finally:
        assert project.files() == before


def refused(project, look, place, why):
    """`look` finds one problem, at `place`, and says it in one sentence."""
    with pytest.raises(Problem) as problem:
        looked_at(project, look)
    message = str(problem.value)
    assert message.startswith(f"{place}: ") and why in message, message
    assert message.endswith(".") and not message.endswith("..") and "\n" not in message, message


# -------------------------------------------------------------------------------------------- snippets


def verify_snippet(project):
    """What the plugin does with a snippet in its own process."""
    path = project.root / "snippets/half.py"
    printed, never_run = snippet.run_here(path)
    snippet.check("snippets/half.py", path.read_text(encoding="utf-8"), "".join(text for _, text in printed))
    return never_run


def test_the_snippet_as_made_is_verified(project):
    assert looked_at(project, lambda: verify_snippet(project)) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("units[::2]", "units[::3]", 6, "expected 0.50, printed 0.40: more than one unit apart"),
        ("#> share kept: 0.50", "#> share kept: 0.52", 6, "expected 0.52, printed 0.50"),
        ("#> share kept", "#> part kept", 6, "expected “part kept: 0.50”, printed “share kept: 0.50”"),
        (":.2f}", ":.3f}", 6, "not the same number of decimals"),
        ("units[::2]", "len(units)", 5, "the program fails: TypeError: object of type 'int' has no len()"),
        ("units[::2]", "missing", 4, "the program fails: NameError: name 'missing' is not defined"),
        ("units[::2]", "1 +", 4, "this is not valid Python"),
        ("kept = ", 'raise ValueError("""one\ntwo""")\nkept = ', 4, "the program fails: ValueError: one."),
        ("kept = ", "raise SystemExit\nkept = ", 4, "the program ends itself"),
    ],
)
def test_a_snippet_that_does_not_print_what_it_says_is_refused(project, old, new, line, why):
    project.edit("snippets/half.py", old, new)
    refused(project, lambda: verify_snippet(project), f"snippets/half.py:{line}", why)


@pytest.mark.parametrize(("added", "count"), [("\nprint(1)", 2), ("\n#> 1", 1)])
def test_a_snippet_that_prints_more_or_less_is_refused(project, added, count):
    project.write("snippets/half.py", project.read("snippets/half.py") + added)
    wanted = f"it prints {count} lines, and {3 - count} are written beside its prints"
    refused(project, lambda: verify_snippet(project), "snippets/half.py", wanted)


@pytest.mark.parametrize(
    "call",
    [
        'import urllib.request; urllib.request.urlopen("http://example.org", timeout=1)',
        'import socket; socket.create_connection(("192.0.2.1", 80), timeout=1)',
        'import socket; socket.gethostbyname("example.org")',
        'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 80))',
    ],
)
def test_a_snippet_that_needs_the_network_is_refused(project, call):
    project.edit("snippets/half.py", "kept = ", f"{call}\nkept = ")
    refused(project, lambda: verify_snippet(project), "snippets/half.py:4", "the program needs the network")


def test_a_snippet_that_hides_its_use_of_the_network_is_refused(project):
    call = 'import socket\ntry:\n    socket.gethostbyname("example.org")\nexcept BaseException:\n    pass\n'
    project.edit("snippets/half.py", "kept = ", f"{call}\nkept = ")
    refused(project, lambda: verify_snippet(project), "snippets/half.py", "the program needs the network")


@pytest.mark.parametrize("excuse", ["", "  # pragma: no cover"])
def test_a_snippet_line_that_never_runs_is_found(project, excuse):
    project.edit("snippets/half.py", "kept = ", f"if not units:{excuse}\n    print(0)\nkept = ")
    assert looked_at(project, lambda: verify_snippet(project)) == [5]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("raise ValueError('one')", "as a program of its own it fails: ValueError: one"),
        ("import sys; sys.exit(3)", "as a program of its own it fails: no message"),
        ("import sys; sys.exit('enough')", "as a program of its own it fails: enough"),
        ("while True: pass", "the program did not end within 1 seconds"),
    ],
)
def test_a_snippet_that_fails_as_a_program_of_its_own_is_refused(project, monkeypatch, line, why):
    monkeypatch.setattr(snippet, "TIMEOUT", 1)
    project.edit("snippets/half.py", "kept = ", f"{line}\nkept = ")
    refused(project, lambda: snippet.run_program(project.root / "snippets/half.py"), "snippets/half.py", why)


# ------------------------------------------------------------------------------------------- notebooks


def verify_notebook(project, timeout=20):
    """What the plugin does with a notebook."""
    path = project.root / NAME
    fresh = notebook.run(path, NAME, timeout)
    notebook.check(nbformat.read(path, as_version=4), fresh, NAME)


def test_the_notebook_as_made_is_verified(project):
    looked_at(project, lambda: verify_notebook(project))


def test_a_stored_output_that_was_edited_is_refused(project):
    project.edit(NAME, '"text": "share kept: 0.50', '"text": "share kept: 0.60')
    refused(
        project,
        lambda: verify_notebook(project),
        f"{NAME}: cell 2",
        "the stored text is not what a run gives: line 1: expected 0.60, printed 0.50",
    )


def test_a_figure_that_differs_is_refused(project):
    drawn = project.notebook()["cells"][2]["outputs"][0]
    data = {"image/svg+xml": drawn["data"]["image/svg+xml"].replace("L 60 60", "L 60 40")}
    project.edit_cell(3, outputs=[drawn | {"data": data}])
    refused(
        project,
        lambda: verify_notebook(project),
        f"{NAME}: cell 3",
        "the stored image/svg+xml is not what a run gives: line 2: a coordinate moved by 20.0 points",
    )


def test_a_notebook_with_no_outputs_is_refused(project):
    project.edit_cell(2, outputs=[], execution_count=None)
    refused(project, lambda: verify_notebook(project), f"{NAME}: cell 2", "are of different kinds: nothing and text")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise ValueError('''one\ntwo''')", "it raises ValueError: one"),
        ("raise KeyError", "it raises KeyError: no message"),
        ("x = = 1", "it raises SyntaxError: invalid syntax"),
        ("import time\nprint('begun')\ntime.sleep(60)", "still running after 2 seconds"),
        ("while True:\n    pass", "still running after 2 seconds"),
        ("import os\nos._exit(1)", "the kernel died"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "the kernel died"),
        ("exit()", "are of different kinds: text and nothing"),
    ],
)
def test_a_notebook_that_does_not_come_to_its_end_is_refused(project, source, why):
    project.edit_cell(2, source=source)
    refused(project, lambda: verify_notebook(project, timeout=2), f"{NAME}: cell 2", why)


def test_no_kernel_is_left_behind(project):
    with pytest.raises(Problem):
        project.edit_cell(2, source="while True:\n    pass")
        verify_notebook(project, timeout=1)
    left = [child for child in psutil.Process().children() if "ipykernel_launcher" in " ".join(child.cmdline())]
    assert left == []


def test_a_notebook_that_names_a_missing_kernel_is_refused(project):
    project.write_notebook(*project.notebook()["cells"], kernel="my-env")
    refused(project, lambda: verify_notebook(project), NAME, "there is no kernel called “my-env” on this machine")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 1}'])
def test_a_file_that_is_no_notebook_is_refused(project, content):
    project.write(NAME, content)
    refused(project, lambda: verify_notebook(project), NAME, "this is not a notebook")


def _picture(pixels) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def test_two_pictures_are_compared_pixel_by_pixel():
    import numpy as np

    white = np.full((100, 100, 3), 255, dtype="uint8")
    speck, stain, grey = white.copy(), white.copy(), white - 20
    speck[:9, :9] = 0  # 81 of 10 000 pixels
    stain[:11, :11] = 0
    assert compare.png_difference(_picture(white), _picture(speck)) is None
    assert compare.png_difference(_picture(white), _picture(grey)) is None
    assert compare.png_difference(_picture(white), _picture(stain)) == "1.2% of the figure's pixels differ"
    assert compare.png_difference(_picture(white), _picture(white[:50])) == "the figure is 100×50 pixels, not 100×100"
    assert compare.png_difference(b"nothing", _picture(white)) == "it is not a picture"


# ---------------------------------------------------------------------------------------------- claims


def pytest_says(project, *arguments, outcome):
    """The failures that pytest reports for the project's proof."""
    project.write("pyproject.toml", PYPROJECT)
    command = [sys.executable, "-m", "pytest", "-p", "kb.plugin", "-p", "no:cacheprovider", "-rA"]
    environment = os.environ | {
        "PYTHONPATH": str(REPOSITORY),
        "KERAS_BACKEND": "tensorflow",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "COLUMNS": "200",
    }
    run = looked_at(
        project,
        lambda: subprocess.run(
            [*command, "--import-mode=importlib", *arguments, "tests/questions"],
            cwd=project.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        ),
    )
    assert "INTERNALERROR" not in run.stdout + run.stderr, run.stdout + run.stderr
    assert re.search(rf"{outcome} in", run.stdout), run.stdout + run.stderr
    return run.stdout


def test_the_claims_as_made_are_verified(project):
    pytest_says(project, outcome="2 passed")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            'claim.close("share", 0.5, 0.5, 0.01)',
            "assert claim",
            "test_half_of_them_stay measured nothing: a claim calls claim.exact, close, sampled or trained.",
        ),
        (
            'claim.exact("units", 10, 10)',
            'claim.exact("units", 10, 11)',
            "half.test_the_mistake_keeps_all: units: 10 is not 11.",
        ),
        (
            '"share", 0.5, 0.5',
            '"share", 0.5, 0.52',
            "half.test_half_of_them_stay: share: 0.5 is not 0.52 ± 0.01.",
        ),
    ],
)
def test_a_claim_that_does_not_hold_is_refused(project, old, new, why):
    project.edit("tests/questions/test_half.py", old, new)
    assert why in pytest_says(project, outcome="1 (failed|error).*")


def test_a_value_that_disagrees_with_its_record_is_refused(project):
    def change(record):
        record["claims"]["half"]["test_the_mistake_keeps_all"]["values"]["units"]["value"] = 11

    project.edit_record(change)
    said = pytest_says(project, outcome="1 failed, 1 passed")
    assert "half.test_the_mistake_keeps_all: units: measured 10, recorded 11: run `make record`." in said
    assert "Traceback" not in said


def test_a_trained_claim_that_holds_by_a_hair_is_not_recorded(project):
    """It holds in an ordinary run; another processor, which rounds in another way, could refute it."""
    hair = 'claim.trained("gain", [0.9, 1.0, 1.1], above=0.74)'  # the interval begins at 0.752, a half-width is 0.248
    project.edit(PROOF, 'claim.exact("units", 10, 10)', hair)
    pytest_says(project, outcome="2 passed")
    why = "gain: [0.752, 1.248] is not within (0.74, None) by a quarter of its half-width: take more replicas"
    assert why in pytest_says(project, "--record", outcome="1 failed, 1 passed")


def test_a_part_of_a_question_is_not_recorded(project):
    """Its record would have lost the rest."""
    before = project.read("evidence/cpu-tensorflow.json")
    said = pytest_says(project, "--record", outcome="2 passed")
    assert "half: not recorded, because snippets/half.py::program did not run with the rest." in said
    assert project.read("evidence/cpu-tensorflow.json") == before


@pytest.mark.parametrize("chosen", [("-k", "mistake"), ("--deselect", PROOF), ("-m", "study"), (f"{PROOF}::test_x",)])
def test_some_tests_of_a_question_are_not_recorded(project, chosen):
    project.write("pyproject.toml", PYPROJECT)
    command = [sys.executable, "-m", "pytest", "-p", "kb.plugin", "-p", "no:cacheprovider", "--record", *chosen]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--record records whole questions: leave out -k, -m, --deselect and `::`." in run.stderr


HOLDS = '@pytest.mark.holds("{range}", why="another version does it otherwise")\n{test}'


@pytest.mark.parametrize(
    ("versions", "expected", "outcome"),
    [
        ("pytest>=9", 10, "2 passed"),
        ("pytest<9", 10, "1 failed, 1 passed"),  # it says that it fails, and it holds
        ("pytest<9", 11, "1 passed, 1 xfailed"),
        ("pytest>=9,!=9.*", 11, "1 passed, 1 xfailed"),
        ("pytest>=9", 11, "1 failed, 1 passed"),
    ],
)
def test_a_claim_holds_in_its_versions_and_fails_in_others(project, versions, expected, outcome):
    test = "def test_the_mistake_keeps_all"
    project.edit(PROOF, test, HOLDS.format(range=versions, test=test))
    project.edit(PROOF, "10, 10", f"10, {expected}")
    project.write(PROOF, f"import pytest\n{project.read(PROOF)}")
    pytest_says(project, outcome=outcome)


@pytest.mark.parametrize(
    ("raises", "outcome"), [("", "1 failed, 1 passed"), (", raises=RuntimeError", "1 passed, 1 xfailed")]
)
def test_in_other_versions_a_claim_fails_and_does_not_merely_break(project, raises, outcome):
    """A test that an import or a renamed argument stops says nothing of its claim; `raises` names what refutes it."""
    test = "def test_the_mistake_keeps_all"
    marker = HOLDS.format(range="pytest<9", test=test).replace('otherwise"', f'otherwise"{raises}')
    project.edit(PROOF, test, marker)
    project.edit(PROOF, 'claim.exact("units", 10, 10)', 'raise RuntimeError("no such layer")')
    project.write(PROOF, f"import pytest\n{project.read(PROOF)}")
    pytest_says(project, outcome=outcome)


def test_a_claim_about_another_backend_is_skipped_with_its_reason(project):
    test = "def test_the_mistake_keeps_all"
    project.edit(PROOF, test, f'@pytest.mark.only("jax", why="it is about tracing")\n{test}')
    project.write(PROOF, f"import pytest\n{project.read(PROOF)}")
    assert "it is about tracing" in pytest_says(project, outcome="1 passed, 1 skipped")


@pytest.mark.skipif(os.environ.get("CUDA_VISIBLE_DEVICES", "") != "", reason="there may be a GPU")
def test_a_timed_claim_is_skipped_on_a_processor(project):
    test = "def test_the_mistake_keeps_all"
    project.edit(PROOF, test, f"@pytest.mark.gpu\n{test}")
    project.write(PROOF, f"import pytest\n{project.read(PROOF)}")
    assert "measured on a GPU only" in pytest_says(project, outcome="1 passed, 1 skipped")


def test_what_is_rewritten_is_not_called_skipped(project):
    said = pytest_says(project, "--update", "snippets", outcome="2 rewritten")
    assert "skipped" not in said.lower()


def test_a_gpu_that_is_not_there_is_one_sentence(project):
    """The backend of this environment sees none once the driver shows it none."""
    project.write("pyproject.toml", PYPROJECT)
    command = [sys.executable, "-m", "pytest", "-p", "kb.plugin", "-p", "no:cacheprovider", "--runner", "gpu"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": "-1"}
    run = subprocess.run(
        [*command, "tests/questions"], cwd=project.root, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert re.search(r"^ERROR: RUNNER=gpu: \w+ sees no GPU on this machine, so nothing was run\.$", run.stderr, re.M)
    assert "passed" not in run.stdout
