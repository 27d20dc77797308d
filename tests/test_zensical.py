"""`make zensical` sees when a page, a heading, a line of code or the answer is missing from what Zensical built."""

import pytest

from kb.zensical import export, missing

MARKDOWN = """# Does half stay?

<div class="answer" markdown>

Yes, `half` of [them](a.md) stays.

</div>

## Why { #why }

```python
--8<-- "snippets/half.py"
```
"""
BUILT = """<h1>Does half stay?<a>¶</a></h1><div class="answer">
<p>Yes, <code>half</code> of <a href="a/">them</a> stays.</p></div><h2 id="why">Why</h2><pre><code>"""


@pytest.fixture
def page(project, tmp_path):
    path = tmp_path / "index.html"
    code = project.read("snippets/half.py").replace("<", "&lt;")
    path.write_text(f"{BUILT}{code}</code></pre>", encoding="utf-8")
    return path


def test_a_whole_page_lacks_nothing(project, page):
    assert missing(page, MARKDOWN, project.root) == []


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("Does half stay?", "the heading “Does half stay?”"),
        ("Why", "the heading “Why”"),
        ("units = list(range(10))", "the code “units = list(range(10))”"),
        (" stays.", "the answer “Yes, `half` of [them](a.md) stays.”"),
    ],
)
def test_what_a_page_lacks_is_named(project, page, text, lacks):
    page.write_text(page.read_text(encoding="utf-8").replace(text, ""), encoding="utf-8")
    assert missing(page, MARKDOWN, project.root) == [lacks]


def test_a_page_that_was_not_built_is_named(project, tmp_path):
    assert missing(tmp_path / "nothing.html", MARKDOWN, project.root) == ["the page"]


def test_every_page_is_exported_notebooks_as_markdown(project, tmp_path):
    settings = {"extra": {"figure_colours": {"light": {"#ffffff": "none"}, "dark": {"#ffffff": "none"}}}}
    found = export(project.root, tmp_path / "docs", settings)
    assert {"", "questions/half", "proofs/half", "notebooks/half", "topics/rate"} == set(found)
    notebook = (tmp_path / "docs/notebooks/half/index.md").read_text(encoding="utf-8")
    assert "](../../questions/half.md)" in notebook and 'print(f"share kept: {share:.2f}")' in notebook
    assert (tmp_path / "docs/notebooks/half/figure-1-dark.svg").exists()
    assert "](../notebooks/half/index.md)" in found["questions/half"]
