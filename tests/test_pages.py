"""What is assembled from the pages."""

import pytest

from kb.pages import ONCE_TRUE, Site, mistakes
from kb.question import Problem, Question

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


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{id: q1, asks: all of it, page: half, proven: [half.test_gone]}", "q1: there is no claim `half.test_gone`."),
        ("{id: q1, asks: all of it, page: whole, proven: [half.test_half]}", "q1: there is no question `whole`."),
        ("{id: q1, asks: all of it, page: half}", "q1: neither a claim nor a source carries the answer."),
        ("{id: q1, asks: all of it, page: half, cited: [nobody2000]}", "q1: unknown reference `nobody2000`."),
        ("{asks: all of it, page: half}", "each row says `id`, `asks` and `page`"),
    ],
)
def test_coverage_names_only_what_is_there(project, row, why):
    project.write("docs/coverage.yml", f"- {row}\n")
    with pytest.raises(Problem) as problem:
        Site(project.root).coverage_table()
    assert str(problem.value).startswith("docs/coverage.yml: ")
    assert why in str(problem.value)
