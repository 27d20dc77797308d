"""What is assembled from the pages."""

import json
from pathlib import Path

import pytest

from kb import facts, question
from kb.pages import ONCE_TRUE, Site, mistakes
from kb.question import Problem, Question

ROOT = Path(__file__).parent.parent
BODY = """
## Why

> Not a mistake, a quotation.

## Commonly said, and wrong

> All of it stays,
> always.

True of Keras 2. Now half does: {{ proof test_half }}, as [another page](rate.md) says and [this one](#why):

```python
--8<-- "snippets/half_wrong.py"
```

> None of it stays.

Half does: {{ proof rate.test_the_other }}; see [the thread](../thread.md) and [a paper](https://example.org).
"""


def test_corrections_are_the_quoted_mistakes_with_their_truth():
    q = Question("?", "!", "start", "rate", slug="half", body=BODY)
    first, second = mistakes(q)
    assert first[0] == "> All of it stays,\n> always."
    assert first[1].startswith("True of Keras 2. Now half does: {{ proof half.test_half }}")
    assert first[1].endswith("[another page](questions/rate.md) says and [this one](questions/half.md#why)")
    assert "{{ proof rate.test_the_other }}" in second[1]
    assert "[the thread](thread.md) and [a paper](https://example.org)" in second[1]
    assert ONCE_TRUE.search(first[1])
    assert not ONCE_TRUE.search(second[1])


CLAIM = "half.test_half_of_them_stay"
ROW = "{id: q1, asks: all of it, page: half, facts: [{says: Half stays., %s}]}"


def coverage(project, row: str) -> str:
    project.write("docs/coverage.yml", f"- {row}\n")
    return facts.listing(Site(project.root))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ROW % "proven: [half.test_gone]", "q1: there is no claim `half.test_gone`."),
        (ROW % "cited: [nobody2000]", "q1: unknown reference `nobody2000`."),
        (
            ROW % "linked: https://example.org/x",
            "q1: the link https://example.org/x does not stand on the page `half`.",
        ),
        (ROW % "page: gone, open: Why.", "q1: there is no question `gone`."),
        (ROW % "page: half", "q1: “Half stays.” has no state: `proven`, `cited`, `linked`, `wrong` or `open`."),
        (
            ROW % f"proven: [{CLAIM}], cited: [author2014half]",
            "q1: “Half stays.” has two states, `proven` and `cited`.",
        ),
        (ROW % f"proven: [{CLAIM}], open: Why.", "q1: “Half stays.” has two states, `proven` and `open`."),
        (ROW % "wrong: Why., open: Why.", "q1: “Half stays.” has two states, `wrong` and `open`."),
        (ROW % "proved: [half.test_half]", "q1: a fact has `says` and a state, and may have a `page` of its own."),
        ("{id: q1, asks: all of it, page: whole, facts: [{says: x, open: y}]}", "q1: there is no question `whole`."),
        ("{id: q1, asks: all of it, page: half, facts: []}", "q1: a row lists the facts of its answer."),
        (
            "{id: q1, asks: all of it, page: half, wrong: x}",
            "each row says `id`, `asks`, `page` and `facts`, and may say",
        ),
    ],
)
def test_each_mistake_in_the_coverage_is_one_sentence(project, row, why):
    with pytest.raises(Problem) as problem:
        coverage(project, row)
    assert str(problem.value).startswith("docs/coverage.yml: ")
    assert why in str(problem.value)


def test_the_coverage_says_of_each_fact_what_carries_it(project):
    page = project.root / "docs/questions/half.md"
    page.write_text(page.read_text(encoding="utf-8").replace("It holds.", "[It](https://example.org/x_y) holds."))
    found = coverage(
        project,
        f"""{{id: q1, asks: Does __init__ keep half, page: half, wrong: All stays. (Half does.), facts: [
    {{says: One., proven: [{CLAIM}]}}, {{says: Two., page: half#why, cited: [author2014half]}},
    {{says: Three., linked: https://example.org/x_y}}, {{says: Four., open: Why not.}},
    {{says: Five., wrong: It is six., proven: [{CLAIM}]}}]}}""",
    )
    summary, asks, answered, listed, wrong = found.split("\n\n")
    assert summary == (
        "1 questions with 5 facts: 1 proven by a test, 1 cited from a source, 1 read on a page elsewhere, "
        "1 that do not hold and 1 open."
    )
    assert asks == r"**Does \_\_init\_\_ keep half**{ #q1 .question }"
    assert answered == "Answered in [Does half of the units stay?](questions/half.md){ .tap }."
    one, two, three, four, five = listed.splitlines()
    proof = "(questions/half.md#test_half_of_them_stay){ .tap .proof"
    assert one.startswith("- One. *Proven:* [") and proof in one
    assert two == (
        "- Two. *From a source:* [Author 2014](references.md#ref-author2014half){ .tap }. "
        "*Under* [why](questions/half.md#why){ .tap }."
    )
    assert three == r"- Three. *From a page elsewhere:* [example.org/x\_y](https://example.org/x_y){ .tap }."
    assert four == "- Four. *Open:* Why not."
    assert five.startswith("- Five. *Does not hold:* It is six. *Proven:* [") and proof in five
    assert wrong == "*Often said, and wrong:* All stays. (Half does.)"


def test_a_page_that_covers_a_question_is_right_for_its_queries():
    """search.json names the question that a query is a wording of: one of its queries at least accepts the page."""
    accepted = {}
    for query in json.loads((ROOT / "tests/browser/search.json").read_text(encoding="utf-8")):
        accepted.setdefault(query["asked"], set()).update(query["slugs"])
    rows = {row["id"]: row["page"].partition("#")[0] for row in question.rows(ROOT / facts.NAME, ROOT)}
    assert accepted.keys() <= rows.keys()
    assert {row: rows[row] for row in accepted if rows[row] not in accepted[row]} == {}
