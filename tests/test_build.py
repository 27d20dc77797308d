"""Building is quick because little is done twice, and that changes nothing of what is built."""

import json
import logging
import sys

import pytest

pytest.importorskip("mkdocs", reason="only the environments of the site and of make check build pages")
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort
from mkdocs.structure.pages import Page

from kb import render, start

MKDOCS = {
    "site_name": "Pages",
    "strict": True,
    "theme": {"name": None, "custom_dir": "theme"},
    "plugins": [],
    "validation": {"links": {"not_found": "warn", "anchors": "warn"}},
    "markdown_extensions": ["toc", {"pymdownx.snippets": {"check_paths": True, "base_path": ["."]}}],
}


@pytest.fixture
def pages(tmp_path, monkeypatch):
    """A site of two pages; building it gives the texts of its pages and the names of those that were rendered."""
    files = {
        "docs/index.md": "# Home\n\n[Two](two.md#more)\n",
        "docs/two.md": '# Two\n\n## More\n\n--8<-- "shared.txt"\n',
        "shared.txt": "Shared.\n",
        "theme/main.html": "{{ page.title }}|{{ page.toc | list | length }}|{{ page.content }}",
        "mkdocs.yml": json.dumps(MKDOCS),
    }
    monkeypatch.chdir(tmp_path)
    rendered = []
    original = Page.render

    def counting(page, config, files):
        rendered.append(page.file.name)
        original(page, config, files)

    monkeypatch.setattr(Page, "render", counting)

    def make(**changes: str) -> tuple[dict[str, str], list[str]]:
        for name, text in {**files, **changes}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        rendered.clear()
        config = load_config("mkdocs.yml")
        config.plugins.events["pre_page"].append(lambda page, **_: render.postpone(page))
        config.plugins.events["env"].append(
            lambda env, config, files: render.finish_all(
                tmp_path,
                [f.page for f in files.documentation_pages()],
                config,
                files,
                lambda html, page: {"content": html + "<hr>"},
            )
        )
        build(config)
        texts = {name: (tmp_path / "site" / name).read_text() for name in ("index.html", "two/index.html")}
        return texts, sorted(rendered)

    return make


def test_what_did_not_change_is_not_rendered_again(pages):
    first, rendered = pages()
    assert rendered == ["index", "two"]
    assert first["two/index.html"].startswith("Two|1|<h1") and "Shared." in first["two/index.html"]
    assert first["two/index.html"].endswith("<hr>")
    assert pages() == (first, [])


def test_a_changed_page_is_rendered_again_and_no_other(pages):
    pages()
    texts, rendered = pages(**{"docs/index.md": "# Another home\n"})
    assert rendered == ["index"] and texts["index.html"].startswith("Another home|")


def test_a_page_whose_included_file_changed_is_rendered_again(pages):
    pages()
    texts, rendered = pages(**{"shared.txt": "Not the same.\n"})
    assert rendered == ["two"] and "Not the same." in texts["two/index.html"]


def test_a_new_address_or_other_settings_render_everything_again(pages):
    pages()
    assert pages(**{"docs/three.md": "# Three\n"})[1] == ["index", "three", "two"]
    assert pages(**{"mkdocs.yml": json.dumps(MKDOCS | {"site_name": "Others"})})[1] == ["index", "three", "two"]


def test_another_machinery_renders_everything_again(pages, monkeypatch):
    pages()
    monkeypatch.setattr(sys, "version", "another Python")
    assert pages()[1] == ["index", "two"]


@pytest.mark.parametrize("few", [0, 8], ids=["side by side", "one by one"])
@pytest.mark.parametrize("link", ["nowhere.md", "two.md#nowhere"])
def test_a_dead_link_is_never_forgotten(pages, monkeypatch, caplog, few, link):
    monkeypatch.setattr(render, "FEW", few)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "mkdocs"), pytest.raises(Abort):
            pages(**{"docs/index.md": f"# Home\n\n[Two]({link})\n"})
        assert [link in record.getMessage() for record in caplog.records] == [True]


def test_pages_rendered_side_by_side_are_the_same(pages, monkeypatch, tmp_path):
    one_by_one, _ = pages()
    for path in (tmp_path / ".cache/pages").glob("*"):
        path.unlink()
    monkeypatch.setattr(render, "FEW", 0)
    side_by_side, rendered_here = pages()
    assert side_by_side == one_by_one and rendered_here == []


def test_a_deferred_module_is_loaded_when_something_of_it_is_used(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    module = start.Deferred("colorsys")
    monkeypatch.setitem(sys.modules, "colorsys", module)
    import colorsys

    assert colorsys is module and "rgb_to_hsv" not in vars(module)
    assert colorsys.rgb_to_hsv(1, 0, 0) == (0, 1, 1)


def test_the_theme_has_all_its_files_but_icons(tmp_path):
    for name in ("main.html", "assets/site.css", ".icons/many/one.svg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    templates = start.Templates(str(tmp_path))
    assert templates.list_templates() == ["assets/site.css", "main.html"]
    templates.get_source(None, ".icons/many/one.svg")
