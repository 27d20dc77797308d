"""What a record keeps, when it holds, and who may write it."""

import json

import pytest

from kb import evidence
from kb.evidence import Value
from kb.question import Problem

STAYS = "A share of 0.50 of the units stays."
ENVIRONMENT = {"device": "a processor", "backend": "tensorflow"}


@pytest.fixture
def entries(project):
    return evidence.load(project.root)["claims"]["half"]


# ------------------------------------------------------------------------------------- seal and hashes


def test_a_seal_does_not_depend_on_the_order_of_fields():
    assert evidence.seal({"a": 1, "b": [2]}) == evidence.seal({"b": [2], "a": 1})


def test_a_seal_does_not_seal_itself():
    assert evidence.seal({"a": 1}) == evidence.seal({"a": 1, "seal": "anything"})


@pytest.mark.parametrize("changed", [{"a": 2}, {"a": 1.0}, {"a": "1"}, {"a": 1, "b": None}, {}])
def test_a_seal_shows_every_change(changed):
    assert evidence.seal({"a": 1}) != evidence.seal(changed)


def test_a_recorded_entry_carries_its_own_seal(entries):
    assert [item["seal"] for item in entries.values()] == [evidence.seal(item) for item in entries.values()]


def test_an_entry_with_tuples_keeps_its_seal_in_the_file(project):
    values = {"shape": Value("exact", (28, 28), (28, 28))}
    made = evidence.entry(project.root, "half", "A shape.", "passed", "2026-01-01", 0.1, values)
    assert evidence.seal(json.loads(json.dumps(made))) == made["seal"]


def test_a_fresh_record_is_not_stale(project, entries):
    assert all(evidence.stale(project.root, "half", item) == [] for item in entries.values())


@pytest.mark.parametrize(
    "name",
    [
        "snippets/half.py",
        "snippets/half_wrong.py",
        "tests/questions/test_half.py",
        "notebooks/half.ipynb",
        "requirements/test.txt",
    ],
)
def test_a_record_is_stale_once_a_file_changes_that_it_rests_on(project, entries, name):
    project.write(name, project.read(name) + "\n")
    assert evidence.stale(project.root, "half", entries["test_half_of_them_stay"]) == [name]


def test_a_record_is_stale_once_a_snippet_joins(project, entries):
    project.write("snippets/half_again.py", "")
    assert evidence.stale(project.root, "half", entries["test_half_of_them_stay"]) == ["snippets/half_again.py"]


def test_a_record_rests_on_the_snippets_that_its_snippets_import(project):
    project.write("snippets/other.py", "import another\n")
    project.write("snippets/another.py", "")
    project.edit("snippets/half.py", "units = ", "from other import x\n\nunits = ")
    assert {"snippets/other.py", "snippets/another.py"} <= evidence.hashes(project.root, "half").keys()


@pytest.mark.parametrize("name", ["docs/questions/half.md", "docs/references.bib", "docs/index.md"])
def test_a_page_may_change_and_the_record_stays_fresh(project, entries, name):
    project.write(name, project.read(name) + "\n")
    assert evidence.stale(project.root, "half", entries["test_half_of_them_stay"]) == []


# ---------------------------------------------------------------------------------------------- agree


def _trained(low, high):
    return Value("trained", (low + high) / 2, low=low, high=high, n=20)


@pytest.mark.parametrize(
    ("a", "b", "agrees"),
    [
        (Value("exact", 3, 3), Value("exact", 3, 3), True),
        (Value("exact", 3, 3), Value("exact", 4, 4), False),
        (Value("exact", [1, 2], [1, 2]), Value("exact", [1, 2], [1, 2]), True),
        (Value("exact", "an error", ""), Value("exact", "another", ""), False),
        (Value("close", 1.0, 1, tolerance=0.1), Value("close", 1.2, 1, tolerance=0.1), True),
        (Value("close", 1.0, 1, tolerance=0.1), Value("close", 1.3, 1, tolerance=0.1), False),
        (Value("sampled", 0.5, 0.5, error=0.3, n=9), Value("sampled", 2.9, 0.5, error=0.4, n=9), True),
        (Value("sampled", 0.5, 0.5, error=0.3, n=9), Value("sampled", 3.1, 0.5, error=0.4, n=9), False),
        (Value("sampled", 7.1, 7, error=0.3, n=9), Value("sampled", 0.5, 0.6, error=0.4, n=9), True),
        (_trained(0.1, 0.3), _trained(0.2, 0.4), True),
        (_trained(0.1, 0.3), _trained(0.4, 0.5), True),  # apart by less than five standard errors
        (_trained(0.1, 0.3), _trained(0.6, 0.7), False),
        (Value("exact", 3, 3), Value("close", 3, 3, tolerance=1), False),
        (Value("timed", 1.0, low=0.9, high=1.1, n=9), Value("timed", 5.0, low=4.9, high=5.1, n=9), True),
    ],
)
def test_two_runs_agree_within_the_kind_of_their_claim(a, b, agrees):
    assert evidence.agree(a, b) is agrees
    assert evidence.agree(b, a) is agrees


# ----------------------------------------------------------------------------------------------- write


def test_what_is_written_is_what_is_read(project, entries):
    evidence.write(project.root, "gpu-jax", ENVIRONMENT, {"half": entries}, whole=True)
    record = evidence.load(project.root, "gpu-jax")
    assert record["claims"] == {"half": entries}
    assert record["environment"] == {**ENVIRONMENT, "seal": evidence.seal(ENVIRONMENT)}
    assert evidence.runners(project.root) == ["cpu-tensorflow", "gpu-jax"]


def _environment(project):
    return {key: value for key, value in evidence.load(project.root)["environment"].items() if key != "seal"}


def test_an_entry_from_another_environment_says_so(project, entries):
    home = _environment(project)
    one = {"test_the_mistake_keeps_all": entries["test_the_mistake_keeps_all"]}
    for name in ("docs/questions/half.md", "tests/questions/test_half.py"):
        project.write(name.replace("half", "whole"), project.read(name))
    evidence.write(project.root, "cpu-tensorflow", ENVIRONMENT, {"whole": one}, whole=False)
    record = evidence.load(project.root)
    assert _environment(project) == home
    (item,) = record["claims"]["whole"].values()
    assert evidence.ran_in(record, item) == ENVIRONMENT
    assert evidence.environments(record) == [home, ENVIRONMENT]
    assert evidence.environments(record, ["half"]) == [home]
    evidence.write(project.root, "cpu-tensorflow", home, {"whole": one}, whole=False)
    assert evidence.environments(evidence.load(project.root)) == [home]


def test_another_environment_may_record_everything_again(project, entries):
    evidence.write(project.root, "cpu-tensorflow", ENVIRONMENT, {"half": entries}, whole=True)
    record = evidence.load(project.root)
    assert record["environment"]["device"] == "a processor"
    assert evidence.environments(record) == [ENVIRONMENT]
    assert project.problems() == []


def test_a_study_keeps_the_environment_that_ran_it(project, entries):
    home, values = _environment(project), {"share": Value("close", 0.5, 0.5, tolerance=0.01)}
    long = evidence.entry(project.root, "half", STAYS, "passed", "2026-01-01", 99, values, study=True)
    short = {"test_the_mistake_keeps_all": entries["test_the_mistake_keeps_all"]}
    evidence.write(project.root, "cpu-tensorflow", home, {"half": {"test_half_of_them_stay": long}}, whole=False)
    evidence.write(project.root, "cpu-tensorflow", ENVIRONMENT, {"half": short}, whole=True)
    record = evidence.load(project.root)
    ran = {test: evidence.ran_in(record, item) for test, item in record["claims"]["half"].items()}
    assert ran == {"test_half_of_them_stay": home, "test_the_mistake_keeps_all": ENVIRONMENT}
    assert project.problems() == []


def test_a_run_elsewhere_does_not_seal_what_was_edited(project, entries):
    long = evidence.entry(project.root, "half", "It stays.", "passed", "2026-01-01", 99, {}, study=True)
    evidence.write(
        project.root, "cpu-tensorflow", _environment(project), {"half": {"test_half_of_them_stay": long}}, False
    )
    project.edit_record(lambda record: record["claims"]["half"]["test_half_of_them_stay"].update(sentence="All."))
    short = {"test_the_mistake_keeps_all": entries["test_the_mistake_keeps_all"]}
    evidence.write(project.root, "cpu-tensorflow", ENVIRONMENT, {"half": short}, whole=True)
    assert any("half.test_half_of_them_stay was edited by hand" in problem for problem in project.problems())


def test_a_run_of_one_question_keeps_the_others(project, entries):
    for name in ("docs/questions/half.md", "tests/questions/test_half.py"):
        project.write(name.replace("half", "whole"), project.read(name))
    evidence.write(project.root, "cpu-tensorflow", _environment(project), {"whole": entries}, whole=False)
    assert evidence.load(project.root)["claims"] == {"half": entries, "whole": entries}


@pytest.mark.parametrize("whole", [True, False])
def test_an_ordinary_run_keeps_the_record_of_a_study(project, entries, whole):
    values = {"share": Value("close", 0.5, 0.5, tolerance=0.01)}
    long = evidence.entry(project.root, "half", STAYS, "passed", "2026-01-01", 99, values, study=True)
    assert "notebooks/half.ipynb" not in long["files"]
    short = {"test_the_mistake_keeps_all": entries["test_the_mistake_keeps_all"]}
    for made in ({"test_half_of_them_stay": long}, short):
        evidence.write(project.root, "cpu-tensorflow", _environment(project), {"half": made}, whole)
    assert evidence.load(project.root)["claims"] == {"half": {"test_half_of_them_stay": long, **short}}
    assert project.problems() == []


def test_no_record_is_an_empty_record(project):
    assert evidence.load(project.root, "gpu-jax") == {"environment": {}, "claims": {}}


# ----------------------------------------------------------------------------------------------- fill

MEASURED = {
    "half": {
        "share": Value("sampled", 0.49878971, 0.5, error=0.002, n=59903),
        "loss": Value("trained", -0.0123, low=-0.02, high=-0.01, n=20),
        "units": Value("exact", 109386, 109386),
        "shape": Value("exact", [28, 28], [28, 28]),
        "error": Value("exact", "rate must lie between 0 and 1", ""),
    }
}


@pytest.mark.parametrize(
    ("placeholder", "text"),
    [
        ("half.share:.2f", "0.50"),
        ("half.share:.1%", "49.9%"),
        ("half.share.n", "59903"),
        ("half.share.expected", "0.5"),
        ("half.units", "109386"),
        ("half.units:,", "109,386"),
        ("half.shape", "[28, 28]"),
        ("half.error", "rate must lie between 0 and 1"),
        ("half.loss:+.3f", "−0.012"),
        ("half.loss.low:.2f", "−0.02"),
        ("half.loss.interval:+.2f", "−0.01 (95 % interval −0.02 to −0.01)"),
    ],
)
def test_a_placeholder_becomes_a_number(placeholder, text):
    assert evidence.fill(placeholder, MEASURED) == text


@pytest.mark.parametrize(
    ("placeholder", "why"),
    [
        ("half.shore", "there is no measured number `half.shore` in evidence/cpu-tensorflow.json"),
        ("whole.share", "there is no measured number `whole.share`"),
        ("half", "`half` does not name a measured number"),
        ("half.share:.2q", "cannot be shown"),
        ("half.shape:.2f", "cannot be shown"),
        ("half.share.colour", "cannot be shown"),
        ("half.share.low", "the value has none"),
        ("half.share.low:.2f", "cannot be shown"),
        ("half.share.interval:.2f", "only a trained value has an interval"),
        ("half.share", "give it a format, such as `:.2f`"),
    ],
)
def test_a_placeholder_that_is_none_is_one_clear_sentence(placeholder, why):
    with pytest.raises(Problem) as refused:
        evidence.fill(placeholder, MEASURED)
    message = str(refused.value)
    assert why in message and message.endswith(".") and "\n" not in message


def test_a_list_of_names_reads_as_words():
    names = {"names": evidence.Value("exact", ["a", "b", "c"])}
    assert evidence.sentence("They are {names}.", names) == "They are `a`, `b` and `c`."


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        (":+.1f", "+0.5 (95 % interval −0.04 to +1.0)"),
        (":.2f", "0.50 (95 % interval −0.04 to 1.00)"),
        (":.0f", "0.5 (95 % interval −0.04 to 1)"),
    ],
)
def test_a_bound_is_not_shown_as_a_zero_that_it_is_not(spec, shown):
    gain = {"gain": evidence.Value("trained", 0.499, low=-0.04, high=0.999)}
    assert evidence.sentence(f"{{gain.interval{spec}}}", gain) == shown


def test_a_claims_sentence_shows_its_own_values():
    text = "A share of {share:.3f}, a loss of {loss:.2f}."
    assert evidence.sentence(text, MEASURED["half"]) == "A share of 0.499, a loss of −0.01."


@pytest.mark.parametrize("template", ["{shore}", "{share:.2q}", "{share", "{}", "{share.colour}"])
def test_a_claims_sentence_that_cannot_be_filled_in_is_one_clear_sentence(template):
    with pytest.raises(Problem) as refused:
        evidence.sentence(template, MEASURED["half"])
    message = str(refused.value)
    assert message.startswith(f"the sentence “{template}” cannot be filled in: ") and message.endswith(".")
    assert "Error(" not in message


# ------------------------------------------------------------------------------ how long programs take


def test_a_run_writes_how_long_its_programs_took(project, entries):
    evidence.write(project.root, evidence.DEFAULT, ENVIRONMENT, {"half": entries}, True, {"half": {"half.py": 2.34}})
    timed = evidence.load(project.root)["programs"]["half"]["half.py"]
    assert timed["seconds"] == 2.3
    assert timed["file"] == evidence.hashes(project.root, "half")["snippets/half.py"]
    assert project.problems() == []


def test_a_busy_machine_makes_no_program_slower(project, entries):
    """Until the program changes: then its time is the new one."""

    def recorded(seconds):
        evidence.write(
            project.root, evidence.DEFAULT, ENVIRONMENT, {"half": entries}, False, {"half": {"half.py": seconds}}
        )
        return evidence.load(project.root)["programs"]["half"]["half.py"]["seconds"]

    assert [recorded(seconds) for seconds in (2.3, 9.1, 2.1)] == [2.3, 2.3, 2.1]
    project.write("snippets/half.py", project.read("snippets/half.py") + "\n")
    assert recorded(9.1) == 9.1


def test_a_run_without_programs_keeps_the_seconds_of_others(project, entries):
    seconds = {"half": {"half.py": 2.3}}
    evidence.write(project.root, evidence.DEFAULT, ENVIRONMENT, {"half": entries}, True, seconds)
    before = evidence.load(project.root)
    evidence.write(project.root, evidence.DEFAULT, ENVIRONMENT, {"half": entries}, False)
    assert evidence.load(project.root) == before


def test_a_record_from_before_programs_were_timed_is_whole(project):
    assert "programs" not in evidence.load(project.root)
    assert project.problems() == []


def test_seconds_that_somebody_wrote_are_refused(project, entries):
    evidence.write(project.root, evidence.DEFAULT, ENVIRONMENT, {"half": entries}, True, {"half": {"half.py": 9.0}})
    project.edit_record(lambda record: record["programs"]["half"]["half.py"].update(seconds=0.1))
    project.refuses(f"evidence/{evidence.DEFAULT}.json", "the time of half.py was edited by hand")
