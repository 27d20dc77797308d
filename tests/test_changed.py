"""Which questions a change touches."""

import subprocess

import pytest

from kb import changed
from kb.question import Problem


@pytest.mark.parametrize(
    "name",
    [
        "snippets/half.py",
        "snippets/half_wrong.py",
        "snippets/half_gone.py",
        "snippets/half_torch.py",
        "tests/questions/test_half.py",
        "notebooks/half.ipynb",
        "requirements/test.txt",
        "requirements/jax.txt",
        "requirements/gpu-torch.txt",
        "kb/plugin.py",
        "Makefile",
    ],
)
def test_a_question_is_touched_by_what_its_claims_rest_on(project, name):
    assert changed.touched(project.root, [name]) == ["half"]


@pytest.mark.parametrize(
    "name",
    ["docs/questions/half.md", "docs/references.bib", "kb/site.py", "theme/assets/site.css", "requirements/site.txt"],
)
def test_a_question_is_not_touched_by_what_is_not_run(project, name):
    assert changed.touched(project.root, [name]) == []


def test_a_question_is_touched_by_a_program_that_its_own_imports(project):
    project.write("snippets/other.py", "")
    project.edit("snippets/half.py", "units = ", "import other\n\nunits = ")
    assert changed.touched(project.root, ["snippets/other.py"]) == ["half"]


def test_a_base_that_does_not_exist_is_one_sentence(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    with pytest.raises(Problem) as refused:
        changed.changed_files(tmp_path, "nowhere")
    assert str(refused.value).startswith("git cannot compare with `nowhere`: ") and "\n" not in str(refused.value)


def test_shards_hold_every_question_once():
    assert changed.shards(["a", "b", "c", "d", "e"], 2) == ["a,c,e", "b,d"]
    assert changed.shards(["a"], 4) == ["a"]
    assert changed.shards([], 4) == []
