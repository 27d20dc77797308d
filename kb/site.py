"""The MkDocs hooks: bring notebooks, proofs and programs in, hand pages to `pages`, render formulas.

Content depends on the generator through this file alone. Whatever a page names and the project does not have stops
the build with one sentence.
"""

import html
import re
import socket
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

from kb import notebook_pages, pages, render
from kb import question as rooms
from kb.question import Problem

ROOT = Path(__file__).parent.parent
WATCH = ("snippets", "notebooks", "tests/questions", "evidence", "theme", "kb")
GLOSSED = ("questions", "notebooks", "thread.md")  # pages on which the first use of a term carries its meaning
DRAWING = re.compile(r"^!\[([^\]]+)\]\(((?:\.\./)*assets/)([\w-]+)\.svg\)$", re.MULTILINE)

state: pages.Site  # what this build knows


def on_startup(command, dirty):
    on_config.serving = command == "serve"


def on_config(config):
    """Watch all rooms; say it plainly if the port is taken."""
    config.watch += [str(ROOT / name) for name in WATCH]
    if getattr(on_config, "serving", False):
        on_config.serving = False  # only before the first build: later ones find our own server
        host, port = config.dev_addr
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                raise PluginError(f"port {port} is in use: try another one, `make serve PORT={port + 1}`.") from None
    return config


@event_priority(100)  # before mkdocs-jupyter's own turn, so that it finds the notebooks
def on_files(files, config):
    """Bring notebooks, proofs, topics, programs and figures into the site."""
    global state
    try:
        state = pages.Site(ROOT)
    except Problem as problem:
        raise PluginError(str(problem)) from None
    colours = config.extra["figure_colours"]

    def generate(name: str, content: str | bytes) -> None:
        files.append(File.generated(config, name, content=content))

    for slug in state.notebooks:
        files.append(_repository_file(f"notebooks/{slug}.ipynb", config))
        generate(f"notebooks/{slug}/{slug}.ipynb", notebook_pages.download(ROOT, slug))
        if config.repo_url:
            name = notebook_pages.colab_name(slug)
            generate(f"notebooks/{slug}/{name}", notebook_pages.download(ROOT, slug, colab=True))
        for name, content in notebook_pages.figures(ROOT, slug, colours).items():
            generate(f"notebooks/{slug}/{name}", content)
    for slug, q in state.questions.items():
        generate(f"proofs/{slug}.md", pages.proof_page(q))
        for path in rooms.snippets(ROOT, slug):
            files.append(_repository_file(f"snippets/{path.name}", config))
    for path in sorted((ROOT / "docs/assets").glob("*.svg")):
        for scheme, svg in notebook_pages.palettes(path.read_text(encoding="utf-8"), colours).items():
            generate(f"assets/{path.stem}-{scheme}.svg", svg)
    for topic in state.topics:
        generate(f"topics/{topic}.md", state.topic_page(topic))
    return files


@event_priority(-100)  # after mkdocs-jupyter has put its own renderer on the page
def on_pre_page(page, config, files):
    """Let notebook pages be rendered like every other page, and all of them later, side by side."""
    render.postpone(page)
    return page


def on_page_markdown(markdown, page, config, files):
    """Turn a notebook into Markdown, assemble a question page, fill in what is generated."""
    folder, _, name = page.file.src_uri.rpartition("/")
    slug = name.rpartition(".")[0]

    def link(title: str, path: str) -> dict:  # for the templates
        return {"title": title, "url": files.get_file_from_path(path).url}

    try:
        if folder == "notebooks":
            markdown, page.meta = notebook_pages.page(ROOT, slug, config.repo_url or ""), {}
            if slug in state.questions:
                page.meta["above"] = link("Notebook", f"questions/{slug}.md")
        elif folder == "questions" and slug in state.questions:
            q = state.questions[slug]
            page.meta |= {"title": q.question, "description": pages.plain(q.answer)}
            page.meta["above"] = link(rooms.TOPICS[q.topic], f"topics/{q.topic}.md")
            page.meta["beside"] = [n and link(n.question, f"questions/{n.slug}.md") for n in state.neighbours(q)]
            markdown = state.question_page(q)
        elif folder == "topics":
            page.meta["above"] = link("Questions", "index.md")
        elif folder == "proofs":
            page.meta |= {"search": {"exclude": True}, "above": link("Proof", f"questions/{slug}.md")}
            return markdown
        markdown = DRAWING.sub(_drawing, markdown)
        return state.fill(markdown, slug, "../" * page.file.src_uri.count("/"))
    except Problem as problem:
        raise PluginError(f"{page.file.src_uri}: {problem}") from None


def on_env(env, config, files):
    """All pages are known: render them."""
    render.finish_all(ROOT, config, files, _finish, known=repr(state.terms))
    return env


def _finish(html_text: str, page) -> str:
    """Render formulas as MathML, which needs no script; insist on alt text; explain terms."""
    html_text = re.sub(r'<(span|div) class="arithmatex">(.*?)</\1>', _mathml, html_text, flags=re.DOTALL)
    for image in re.findall(r"<img\b[^>]*>", html_text):
        if not re.search(r'\balt="[^"]', image):
            raise PluginError(f"{page.file.src_uri}: a figure has no alt text: {image[:80]}")
    html_text = html_text.replace('<span class="c1">#&gt;', '<span class="c1 printed">#&gt;')
    if page.file.src_uri.partition("/")[0] in GLOSSED:
        glossary = get_relative_url("glossary/", page.url)
        html_text = pages.mark_terms(html_text, state.terms, glossary)
    # a wide table scrolls inside itself, and a keyboard can scroll it; Material leaves tables with a class alone
    opening, closing = '<div class="table" tabindex="0"><table class="data">', "</table></div>"
    return html_text.replace("<table>", opening).replace("</table>", closing)


def _repository_file(path: str, config) -> File:
    return File(path, src_dir=str(ROOT), dest_dir=config.site_dir, use_directory_urls=config.use_directory_urls)


def _drawing(match: re.Match) -> str:
    """A drawing that stands by itself, once for each palette."""
    svg = rooms.text_of(ROOT / f"docs/assets/{match[3]}.svg", ROOT)
    return notebook_pages.drawing(match[1], f"{match[2]}{match[3]}", svg)


def _mathml(match: re.Match) -> str:
    import latex2mathml.converter  # only where a page has a formula that was not rendered before

    tex = html.unescape(match[2]).strip()
    block = tex.startswith("\\[")
    made = latex2mathml.converter.convert(tex[2:-2].strip(), display="block" if block else "inline")
    return f'<div class="formula" tabindex="0">{made}</div>' if block else made
