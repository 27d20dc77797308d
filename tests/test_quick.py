"""Under `make serve` an edit of a page's text builds that page alone, and every other change builds everything."""

import itertools
import os

import pytest

pytest.importorskip("mkdocs", reason="only the environments of the site and of make check build pages")
from kb.quick import Builder

PAGE = "---\nquestion: Why?\n---\n\nBecause.\n"


@pytest.fixture
def site(tmp_path):
    """A docs folder and a function that changes files and says what was built."""
    built, clock = [], itertools.count(10**9)

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        moment = next(clock)
        os.utime(path, (moment, moment))

    for name in ("docs/questions/why.md", "docs/questions/how.md", "docs/glossary.md", "snippets/why.py"):
        write(name, PAGE)
    docs = tmp_path / "docs"
    builder = Builder(docs, [str(docs), str(tmp_path / "snippets")], lambda: built.append("everything"), built.append)

    def change(**files: str) -> list[str]:
        built.clear()
        for name, text in files.items():
            write(name, text)
        builder()
        return built

    return change


def test_another_text_builds_that_page_alone(site):
    for text in ("Because it is.\n", "Because it was.\n"):
        assert site(**{"docs/questions/why.md": PAGE + text}) == ["questions/why.md"]


@pytest.mark.parametrize(
    "changes",
    [
        {"docs/questions/why.md": PAGE.replace("Why", "Why not")},
        {"docs/questions/why.md": PAGE + "a", "docs/questions/how.md": PAGE + "a"},
        {"docs/questions/new.md": PAGE},
        {"docs/glossary.md": PAGE + "a"},
        {"snippets/why.py": "changed = True\n"},
    ],
    ids=["front matter", "two pages", "a new page", "the glossary", "a program"],
)
def test_any_other_change_builds_everything(site, changes):
    assert site(**changes) == ["everything"]


def test_front_matter_that_changed_is_known_afterwards(site):
    other = PAGE.replace("Why", "Why not")
    assert site(**{"docs/questions/why.md": other}) == ["everything"]
    assert site(**{"docs/questions/why.md": other + "Really.\n"}) == ["questions/why.md"]


def test_a_page_that_went_away_builds_everything(site, tmp_path):
    (tmp_path / "docs/questions/how.md").unlink()
    assert site() == ["everything"]
