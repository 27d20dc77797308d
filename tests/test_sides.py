"""Which claims run on which side of their versions."""

import pytest

from kb import sides

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


def test_a_version_that_is_not_there_is_said_and_not_run(monkeypatch, capsys):
    monkeypatch.setattr(sides, "sides", lambda _: {"keras>=99": ["a", "b"]})
    monkeypatch.setattr(sides, "install", lambda *_: False)
    assert sides.main() == 0
    assert capsys.readouterr().out == (
        "keras>=99: there is no such version yet, so 2 claims were not asked to fail in it.\n"
    )
