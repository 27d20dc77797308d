"""The day on which an answer changed is noted, and `make check` sees an answer that changed without a new day."""

import pytest

from kb import answers

PAGE = "docs/questions/half.md"
OLD, NEW = "Yes, half of them.", "Yes, five of ten."


def test_an_answer_that_changed_needs_a_new_day(project):
    assert answers.problems(project.root) == []
    project.edit(PAGE, "## Why\n", "## Why\n\nMore is said here.\n")
    assert answers.problems(project.root) == [], "the answer is as it was"
    project.edit(PAGE, OLD, NEW)
    found = answers.problems(project.root)
    assert found == ["docs/answers.yml: the answer of `half` has changed since 2026-01-01: run `make dates`."]
    assert answers.renew(project.root, "2026-02-02") == ["half"]
    assert answers.problems(project.root) == []
    assert answers.dates(project.root) == {"half": "2026-02-02"}


def test_other_answers_keep_their_day(project):
    project.write("docs/questions/third.md", project.read(PAGE).replace(OLD, NEW))
    assert answers.renew(project.root, "2026-02-02") == ["third"]
    assert answers.dates(project.root) == {"half": "2026-01-01", "third": "2026-02-02"}
    project.remove("docs/questions/third.md")
    assert answers.problems(project.root) == ["docs/answers.yml: there is no question `third`: run `make dates`."]
    assert answers.renew(project.root, "2026-03-03") == []
    assert answers.dates(project.root) == {"half": "2026-01-01"}


@pytest.mark.parametrize("content", [None, answers.HEAD])
def test_an_answer_without_a_day_is_refused(project, content):
    project.remove(answers.NAME)
    if content:
        project.write(answers.NAME, content)
    (found,) = answers.problems(project.root)
    assert found == "docs/answers.yml: no day is noted for the answer of `half`: run `make dates`."


@pytest.mark.parametrize("content", ["half\n", "half: 2026-01-01\n", "half: soon\n", "- half\n", "half: [\n"])
def test_a_list_of_days_that_nobody_can_read_is_one_clear_sentence(project, one_sentence, content):
    project.write(answers.NAME, content)
    (found,) = answers.problems(project.root)
    one_sentence(found, "docs/answers.yml", "each line must be `slug: day hash`")
