"""Which claims run on which side of their versions."""

import subprocess

import pytest

from kb import sides
from kb.question import Problem

PROOF = "tests/questions/test_half.py"
STAY, MISTAKE = (f"{PROOF}::{test}" for test in ("test_half_of_them_stay", "test_the_mistake_keeps_all"))


@pytest.mark.parametrize(
    ("ranges", "beside"),
    [
        ('"keras>=3.4"', ["keras<3.4"]),
        ('"keras>=3.10,<3.16"', ["keras<3.10", "keras>=3.16"]),
        ('"keras>=3.4,<3.6", "keras>=3.16"', ["keras<3.4", "keras>=3.6", "keras<3.16"]),
        ('"keras>=3.0,<3.16"', ["keras>=3.16"]),  # before 3.0 there is Keras 2, under another name
        ('"jax>=0.9"', []),  # of other packages, the oldest and the newest versions run
    ],
)
def test_a_claim_runs_beside_each_end_of_its_versions(project, ranges, beside):
    project.edit(PROOF, "def test_half_of_them", f'@pytest.mark.holds({ranges}, why="so")\ndef test_half_of_them')
    assert sides.sides(project.root) == {version: [STAY] for version in beside}


def test_versions_come_in_their_order_with_all_their_claims(project):
    for test, ranges in ((STAY, "keras>=3.10"), (MISTAKE, "keras>=3.9,<3.16")):
        name = f"def {test.rpartition('::')[2]}"
        project.edit(PROOF, name, f'@pytest.mark.holds("{ranges}", why="so")\n{name}')
    assert list(sides.sides(project.root).items()) == [
        ("keras<3.9", [MISTAKE]),
        ("keras<3.10", [STAY]),
        ("keras>=3.16", [MISTAKE]),
    ]


@pytest.mark.parametrize(
    ("beside", "asked"),
    [
        ("keras<3.10", [["keras<3.10"]]),
        ("keras>=3.6", [["keras>=3.6,<3.7"], ["--pre", "keras-nightly>=3.6.dev0,<3.7"]]),
    ],
)
def test_the_nearest_version_is_asked_for(beside, asked):
    assert sides.nearest(beside) == asked


@pytest.mark.parametrize(
    ("beside", "said", "there_is_one"),
    [
        ("keras>=3.16", "ERROR: no version satisfies keras>=3.16,<3.17 (from versions: 3.15.0, 3.15.1)", False),
        ("keras>=3.16", "ERROR: no version satisfies keras>=3.16,<3.17 (from versions: none)", None),
        ("keras>=3.16", "WARNING: Retrying\nERROR: connection refused", None),
        ("keras<3.4", "ERROR: no version satisfies keras<3.4 (from versions: 3.15.1)", None),
    ],
)
def test_a_version_that_cannot_be_had_is_told_from_one_that_is_not_there(
    monkeypatch, tmp_path, beside, said, there_is_one
):
    answer = subprocess.CompletedProcess([], 1, stderr=said)
    monkeypatch.setattr(sides.subprocess, "run", lambda *_, **__: answer)
    if there_is_one is None:
        with pytest.raises(Problem, match=f"{beside}: no such Keras could be installed: "):
            sides.install(beside, tmp_path / "keras")
    else:
        assert sides.install(beside, tmp_path / "keras") is there_is_one


def test_a_version_that_is_not_there_is_said_and_not_run(monkeypatch, capsys):
    monkeypatch.setattr(sides, "sides", lambda _: {"keras>=99": ["a", "b"]})
    monkeypatch.setattr(sides, "install", lambda *_: False)
    assert sides.main() == 0
    assert capsys.readouterr().out == (
        "keras>=99: there is no such version yet, so 2 claims were not asked to fail in it.\n"
    )
