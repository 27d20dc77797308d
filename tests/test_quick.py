"""Under `make serve` an edit of a page or of a program on it shows on that page first, and then everywhere."""

import itertools
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("mkdocs", reason="only the environments of the site and of make check build pages")
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from kb.quick import Builder

clock = itertools.count(10**9)  # edits within one tick of a file system's clock are edits all the same


def write(path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    moment = next(clock)
    os.utime(path, (moment, moment))


@pytest.fixture
def change(tmp_path):
    """Changes files, and says what was built."""
    built = []

    def page_of(path):
        return f"{path.stem}.md" if path.suffix == ".md" or path.stem == "why" else None

    def make(**files: str) -> list[str]:
        built.clear()
        for name, text in files.items():
            write(tmp_path / name, text)
        make.builder()
        return built

    for name in ("docs/why.md", "docs/how.md", "snippets/why.py", "kb/site.py"):
        write(tmp_path / name, "")
    watched = [str(tmp_path / name) for name in ("docs", "snippets", "kb")]
    make.builder = Builder(watched, page_of, built.append, lambda: built.append("everything"))
    return make


@pytest.mark.parametrize(
    "files", [["docs/why.md"], ["snippets/why.py"], ["docs/why.md", "snippets/why.py"]], ids=["page", "program", "both"]
)
def test_a_page_comes_before_everything(change, files):
    for text in ("Because.", "Because it is."):
        assert change(**dict.fromkeys(files, text)) == ["why.md", "everything"]


@pytest.mark.parametrize(
    "files", [["docs/why.md", "docs/how.md"], ["docs/new.md"], ["kb/site.py"], ["docs/why.md", "kb/site.py"]]
)
def test_other_changes_build_everything_alone(change, files):
    assert change(**dict.fromkeys(files, "Because.")) == ["everything"]


def test_a_page_that_went_away_builds_everything(change, tmp_path):
    (tmp_path / "docs/how.md").unlink()
    assert change() == ["everything"]


def test_a_page_that_cannot_be_built_is_reported_and_tried_again(change, capsys):
    def broken(uri):
        raise Abort("why.md: no answer.")

    builder, one = change.builder, change.builder.one
    builder.one = broken
    assert change(**{"docs/why.md": "?"}) == []
    assert capsys.readouterr().err == "why.md: no answer.\n"
    builder.one = one
    assert change(**{"docs/why.md": "Because."}) == ["why.md", "everything"]


# ------------------------------------------------------------------------------ a whole site, as it is served

PAGE, HOME = "questions/half/index.html", "index.html"
ANSWER = "Yes, half of them."
MKDOCS = {
    "site_name": "Half",
    "theme": {"name": None, "custom_dir": "theme"},
    "plugins": [],
    "extra": {"figure_colours": {"light": {"#ffffff": "none"}, "dark": {"#ffffff": "none"}}},
    "markdown_extensions": ["md_in_html", "attr_list", {"pymdownx.snippets": {"base_path": ["."]}}],
}
EVENTS = ("config", "files", "nav", "pre_page", "page_markdown", "env", "page_context", "post_build")


class Server:
    """What MkDocs' server is to its builder; keeps what a browser sees at each reload."""

    def __init__(self, root):
        self.root, self._epoch_cond, self.observer = root, self, SimpleNamespace(emitters=[])
        self._wanted_epoch = self._visible_epoch = 0
        self._want_rebuild, self.during, self.shown, self.answered = False, None, [], []

    def __enter__(self):
        self.epoch = self._visible_epoch

    def __exit__(self, *_):
        pass

    def notify_all(self):
        assert self._wanted_epoch == self._visible_epoch, "or pages are held back"
        if self._visible_epoch > self.epoch:
            self.shown.append((self.read(PAGE), self.read(HOME)))

    def read(self, name: str) -> str:
        return Path(self.root, name).read_text(encoding="utf-8")

    def rebuild(self) -> None:
        """What MkDocs does after a change."""
        self._want_rebuild, self._wanted_epoch = False, self._visible_epoch + 1
        self.shown.clear()
        self.builder()
        assert self._wanted_epoch == self._visible_epoch, "or pages are held back"


@pytest.fixture
def server(project, monkeypatch):
    """The small project, built and served."""
    from kb import site

    monkeypatch.setattr(site, "ROOT", project.root)
    monkeypatch.setattr(site.on_config, "site_dir", None)
    monkeypatch.chdir(project.root)
    project.write("docs/index.md", "# Home\n\n{{ questions }}\n")
    project.write("theme/main.html", "{{ page.content }}")
    project.write("mkdocs.yml", json.dumps(MKDOCS))

    def configured():
        config = load_config("mkdocs.yml")
        for event in EVENTS:
            config.plugins.events[event].append(getattr(site, f"on_{event}"))
        return config

    def builder(config=None):
        config, during, made.during = config or configured(), made.during, None
        if during:
            config.plugins.events["env"].append(lambda env, **_: during() or env)
        build(config)

    config = configured()
    made = Server(config.site_dir)
    builder(config)
    return site.on_serve(made, config, builder)


def edit(project, name: str, old: str, new: str) -> None:
    assert old in project.read(name)
    write(project.root / name, project.read(name).replace(old, new))


def test_an_answer_shows_on_its_page_and_then_on_the_home_page(project, server):
    edit(project, "docs/questions/half.md", ANSWER, "Yes, five of ten.")
    server.rebuild()
    (page, home), (later_page, later_home) = server.shown
    assert "Yes, five of ten." in page and ANSWER in home
    assert "Yes, five of ten." in later_page and "Yes, five of ten." in later_home
    assert "five of ten" in server.read("assets/search-index.js") and ANSWER not in later_home


def test_a_program_shows_on_its_page_and_then_as_a_file(project, server):
    edit(project, "snippets/half.py", "units[::2]", "units[1::2]")
    server.rebuild()
    (page, _), (later, _) = server.shown
    assert "units[1::2]" in page and "units[1::2]" in later
    assert "units[1::2]" in server.read("snippets/half.py")


def test_an_edit_while_everything_is_built_is_not_lost(project, server):
    def second():
        edit(project, "docs/questions/half.md", "It holds.", "It always holds.")
        server._want_rebuild = True

    server.during = second
    edit(project, "docs/questions/half.md", ANSWER, "Yes, five of ten.")
    server.rebuild()
    assert len(server.shown) == 1 and "It always holds." not in server.read(PAGE)
    assert server._want_rebuild and ANSWER in server.read(HOME)  # whole, and as it was
    server.rebuild()
    first, last = server.shown
    assert "It always holds." in first[0] and "Yes, five of ten." in first[0]
    assert "It always holds." in last[0] and "Yes, five of ten." in last[1]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("level: start\n", "", "docs/questions/half.md:1: the front matter has no `level`.\n"),
        ("topic: rate", "topic: rite", "docs/questions/half.md: unknown topic `rite`.\n"),
        ("{{ half.share:.2f }}", "{{ half.shore }}", "questions/half.md: there is no measured number `half.shore`"),
    ],
)
def test_a_broken_page_is_one_sentence_and_the_site_is_served(project, server, capsys, old, new, why):
    edit(project, "docs/questions/half.md", old, new)
    server.rebuild()
    said = capsys.readouterr().err
    assert said.startswith(why) and said.count("\n") == 1
    assert not server.shown and ANSWER in server.read(PAGE) and ANSWER in server.read(HOME)
    edit(project, "docs/questions/half.md", new or "topic:", old + ("" if new else "topic:"))
    edit(project, "docs/questions/half.md", ANSWER, "Yes, five of ten.")
    server.rebuild()
    assert ["Yes, five of ten." in page for page, _ in server.shown] == [True, True]
    assert "Yes, five of ten." in server.read(HOME)


def test_a_build_that_fails_leaves_what_is_served(project, server, caplog):
    write(project.root / "docs/references.bib", "")
    server.rebuild()
    assert "unknown reference `author2014half`" in caplog.text
    assert not server.shown and ANSWER in server.read(PAGE)
