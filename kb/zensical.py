"""Render the same pages with Zensical, from the same Markdown, and see that each is there: `python -m kb.zensical`.

Zensical knows no hooks and copies notebooks as they are, without a word. So the Markdown of every page, notebooks too,
is written into .cache/zensical/docs/ first; and the built pages must have its headings, its code and its answer.
"""

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from kb import notebook_pages, pages
from kb import question as rooms

ROOT = Path(__file__).parent.parent
SETTINGS = ("site_name", "site_description", "markdown_extensions")  # what both read alike
DRAWING = re.compile(r"^!\[([^\]]+)\]\(((?:\.\./)*assets/)([\w-]+)\.svg\)$", re.MULTILINE)
TO_NOTEBOOK = re.compile(r"\]\(((?:\.\./)*)notebooks/([\w-]+)\.ipynb")
HEADING = re.compile(r"^#{1,3} (.+?)(?: \{.*\})?$", re.MULTILINE)


def export(root: Path, docs: Path, settings: dict) -> dict[str, str]:
    """Write every page as Markdown, and all that pages show beside it. Gives the pages by their addresses."""
    site, colours, found = pages.Site(root), settings["extra"]["figure_colours"], {}
    shutil.copytree(root / "docs/assets", docs / "assets")
    shutil.copytree(root / "snippets", docs / "snippets", ignore=shutil.ignore_patterns("__pycache__", "*.toml"))
    for path in (root / "docs/assets").glob("*.svg"):
        for scheme, svg in notebook_pages.palettes(path.read_text(encoding="utf-8"), colours).items():
            (docs / f"assets/{path.stem}-{scheme}.svg").write_text(svg, encoding="utf-8")

    def drawing(match: re.Match) -> str:
        svg = (root / f"docs/assets/{match[3]}.svg").read_text(encoding="utf-8")
        return notebook_pages.drawing(match[1], f"{match[2]}{match[3]}", svg)

    def write(uri: str, text: str, slug: str = "", filled: bool = True) -> None:
        text = site.fill(DRAWING.sub(drawing, text), slug, "../" * uri.count("/")) if filled else text
        text = TO_NOTEBOOK.sub(r"](\1notebooks/\2/index.md", text)
        path = docs / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        found[re.sub(r"(^|/)index$", r"\1", uri.removesuffix(".md")).rstrip("/")] = text

    for path in (root / "docs").glob("*.md"):
        write(path.name, path.read_text(encoding="utf-8"), path.stem)
    for slug, q in site.questions.items():
        write(f"questions/{slug}.md", site.question_page(q), slug)
        write(f"proofs/{slug}.md", pages.proof_page(q), slug, filled=False)
    for topic in site.topics:
        write(f"topics/{topic}.md", site.topic_page(topic))
    for slug in site.notebooks:
        # one folder deeper, where its figures lie
        text = re.sub(r"\]\(\.\./(?!\.)", "](../../", notebook_pages.page(root, slug))
        write(f"notebooks/{slug}/index.md", text, slug)
        for name, content in notebook_pages.figures(root, slug, colours).items():
            path = docs / f"notebooks/{slug}/{name}"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (docs / f"notebooks/{slug}/{slug}.ipynb").write_text(notebook_pages.download(root, slug), encoding="utf-8")
    return found


def missing(page: Path, markdown: str, root: Path) -> list[str]:
    """What a built page lacks of its Markdown: the page itself, a heading, a line of code, the answer."""
    if not page.exists():
        return ["the page"]
    shown = plain(page.read_text(encoding="utf-8"))
    code = [match[0] for match in rooms.FENCE.finditer(markdown)]
    prose = rooms.FENCE.sub("", markdown)
    wanted = [("the heading", rooms.PLACEHOLDER.sub("", title)) for title in HEADING.findall(prose)]
    for block in code:
        for name in re.findall(r'^--8<-- "([^"]+)"', block, re.MULTILINE):
            block = (root / name).read_text(encoding="utf-8")
        wanted += [("the code", line) for line in block.splitlines() if line.strip() and "```" not in line]
    answer = re.search(r'<div class="answer" markdown>\n\n(.*?)\n\n</div>', markdown, re.DOTALL)
    if answer:
        wanted.append(("the answer", answer[1]))
    return [f"{what} “{text.strip()[:60]}”" for what, text in wanted if plain(written(text, what)) not in shown]


def written(text: str, what: str) -> str:
    """Markdown as it reads on the page."""
    return html.escape(text) if what == "the code" else html.escape(re.sub(r"\]\([^)]*\)|[`*\[]", "", text))


def plain(content: str) -> str:
    """A text without tags, spaces and the signs that typography changes."""
    return re.sub(r"[\s\"'“”‘’…\-–—→¶.]|&\w+;|&#\d+;", "", html.unescape(re.sub(r"<[^>]*>", "", content)))


def main() -> int:
    work = ROOT / ".cache/zensical"
    shutil.rmtree(work, ignore_errors=True)
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8").replace("!ENV", "# "), yaml.SafeLoader)
    made = {key: settings[key] for key in SETTINGS} | {"docs_dir": "docs", "site_dir": "site", "theme": {"font": False}}
    (work / "docs").mkdir(parents=True)
    found = export(ROOT, work / "docs", settings)
    for name in ("snippets", "tests"):
        (work / name).symlink_to(ROOT / name)  # what pages include
    (work / "mkdocs.yml").write_text(yaml.safe_dump(made, allow_unicode=True, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--config-file", "mkdocs.yml", "--clean"]
    if subprocess.run(command, cwd=work, stdout=subprocess.DEVNULL, check=False).returncode:
        return 1
    count = 0
    for address, markdown in sorted(found.items()):
        for what in missing(work / "site" / address / "index.html", markdown, ROOT):
            count += 1
            print(f"{address or 'the home page'} lacks {what}.")
    print(
        f"make zensical: {count} things are missing" if count else f"make zensical: all of {len(found)} pages are there"
    )
    return bool(count)


if __name__ == "__main__":
    sys.exit(main())
