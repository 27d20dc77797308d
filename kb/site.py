"""The MkDocs hooks: bring notebooks, proofs and programs in, hand pages to `pages`, render formulas.

Content depends on the generator through this file alone. Whatever a page names and the project does not have stops
the build with one sentence.
"""

import html
import re
import socket
import tempfile
import time
from pathlib import Path

from mkdocs.exceptions import Abort, PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url, write_file

from kb import notebook_pages, outputs, pages, quick, render, search
from kb import question as rooms
from kb.question import Problem

ROOT = Path(__file__).parent.parent
WATCH = ("snippets", "notebooks", "tests/questions", "evidence", "theme", "kb")
DRAWING = re.compile(r"^!\[([^\]]+)\]\(((?:\.\./)*assets/)([\w-]+)\.svg\)$", re.MULTILINE)
# how much a page counts in search; lists of questions say nothing that the questions do not
SEARCHED = {"questions": 1, "where.md": 1, "notebooks": 0.3}
SEARCHED |= dict.fromkeys(("index.md", "topics", "proofs", "verified.md", "references.md"), 0)
OTHERS = 0.4
START = {"weight": 1.1}  # what one asks first comes first among equals
UNUSED = ("assets/javascripts/", "assets/stylesheets/palette", "assets/images/favicon", "sitemap.xml")  # of the theme
POLICY = (  # nothing from elsewhere, and no script but the site's own files
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)

state: pages.Site  # what this build knows


def on_startup(command, dirty):
    on_config.serving = on_config.first = command == "serve"


def on_config(config):
    """Watch all rooms; say it plainly if the port is taken."""
    config.watch += [str(ROOT / name) for name in WATCH]
    config.site_dir = on_config.site_dir or config.site_dir
    if not config.site_url:  # a site map is made of addresses
        config.theme.static_templates.discard("sitemap.xml")
    if on_config.first:
        on_config.first = False  # later builds find our own server
        host, port = config.dev_addr
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                raise PluginError(f"port {port} is in use: try another one, `make serve PORT={port + 1}`.") from None
    return config


on_config.serving = on_config.first = False
on_config.site_dir = None  # where to build, if not where MkDocs does


@event_priority(100)  # before mkdocs-jupyter's own turn, so that it finds the notebooks
def on_files(files, config):
    """Bring notebooks, proofs, topics, programs and figures into the site."""
    global state
    try:
        state = pages.Site(ROOT, go_on)
    except Problem as problem:
        raise PluginError(str(problem)) from None
    colours = config.extra["figure_colours"]

    def generate(name: str, content: str | bytes) -> None:
        files.append(File.generated(config, name, content=content))

    for slug in state.notebooks:
        go_on()
        files.append(_repository_file(f"notebooks/{slug}.ipynb", config))
        generate(f"notebooks/{slug}/{slug}.ipynb", notebook_pages.download(ROOT, slug))
        if config.repo_url:
            name = notebook_pages.colab_name(slug)
            generate(f"notebooks/{slug}/{name}", notebook_pages.download(ROOT, slug, colab=True))
        try:
            figures = notebook_pages.figures(ROOT, slug, colours)
        except Problem as problem:
            raise PluginError(str(problem)) from None
        for name, content in figures.items():
            generate(f"notebooks/{slug}/{name}", content)
    for slug, q in state.questions.items():
        go_on()
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
    go_on()
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
                page.meta["above"] = link("The answer", f"questions/{slug}.md")
        elif folder == "questions" and slug in state.questions:
            q = state.questions[slug]
            page.meta |= {"title": q.question, "description": pages.plain(q.answer)}
            page.meta["above"] = link(rooms.TOPICS[q.topic], f"topics/{q.topic}.md")
            page.meta["beside"] = [n and link(n.question, f"questions/{n.slug}.md") for n in state.neighbours(q)]
            markdown = state.question_page(q)
        elif folder == "topics":
            page.meta |= {"above": link("Questions", "index.md"), "hide": ["toc"]}
        elif folder == "proofs":
            page.meta["above"] = link("The answer", f"questions/{slug}.md")
            return markdown
        markdown = DRAWING.sub(_drawing, markdown)
        return state.fill(markdown, slug, "../" * page.file.src_uri.count("/"))
    except Problem as problem:
        raise PluginError(f"{page.file.src_uri}: {problem}") from None


def on_env(env, config, files):
    """All pages are known: render them."""
    on_env.pages = [f.page for f in files.documentation_pages() if f.page]
    on_env.built = config, files, on_env.nav, env
    _render(on_env.pages)
    for file in [f for f in files if f.src_uri.startswith(UNUSED) or f.src_uri.endswith(".map")]:
        files.remove(file)
    return env


def on_nav(nav, config, files):
    on_env.nav = nav


def _render(pages: list) -> None:
    config, files, *_ = on_env.built
    render.finish_all(ROOT, pages, config, files, _finish, known=repr(state.terms))


def on_serve(server, config, builder):
    """Show an edited page at once, and the rest of the site when it is built."""
    shown = None  # the folder that is served, once it is another than the first

    def answer(reload: bool) -> None:
        """Let the server go on, with what is new or with what it had."""
        with server._epoch_cond:
            if reload:
                server._visible_epoch = round(time.monotonic() * 1000)
            server._wanted_epoch = server._visible_epoch
            server._epoch_cond.notify_all()

    def page_of(path: Path) -> str | None:
        slug = rooms.owner(path, [*state.questions]) if path.parent == ROOT / "snippets" else None
        inside = path.suffix == ".md" and path.is_relative_to(config.docs_dir)
        uri = path.relative_to(config.docs_dir).as_posix() if inside else f"questions/{slug}.md"
        return uri if on_env.built[1].get_file_from_path(uri) else None

    def one(uri: str) -> None:
        config, files, nav, env = on_env.built
        page, made = files.get_file_from_path(uri).page, False
        try:
            q = state.reread(page.file.name) if uri.startswith("questions/") else None
            if not q or files.get_file_from_path(f"topics/{q.topic}.md"):  # a topic's first question has no list yet
                quick.build_page(page, config, files, nav, env, lambda: _render([page]))
                made = True
        except (Problem, PluginError) as problem:
            raise Abort(str(problem)) from None
        finally:
            answer(reload=made)

    def everything() -> None:
        nonlocal shown
        global state
        answer(reload=False)
        before, folder = (state, dict(vars(on_env))), tempfile.TemporaryDirectory(prefix="mkdocs_")
        on_config.site_dir, go_on.wanted = folder.name, lambda: not server._want_rebuild
        try:
            builder()
        except BaseException:
            state = before[0]
            vars(on_env).update(before[1])
            folder.cleanup()
            raise
        finally:
            go_on.wanted = None
        server.root, last, shown = folder.name, shown, folder
        answer(reload=True)
        if last:
            last.cleanup()

    server.builder = quick.Builder([config.docs_dir, config.config_file_path, *config.watch], page_of, one, everything)
    server.observer._timeout = quick.POLL
    for emitter in server.observer.emitters:
        emitter._timeout = quick.POLL
    return server


def go_on() -> None:
    """Leave the build if a file has changed since it began; MkDocs comes by here for each page."""
    if go_on.wanted and not go_on.wanted():
        raise quick.Interrupted


go_on.wanted = None


def on_page_context(context, page, config, nav):
    """What the head of a page says to machines."""
    go_on()
    folder, _, name = page.file.src_uri.rpartition("/")
    slug = name.rpartition(".")[0]
    if folder == "questions" and slug in state.questions:
        page.update_date = state.changed.get(slug, page.update_date)
        context["qa_page"] = outputs.qa_page(state, slug, page.canonical_url or "")
    context["policy"] = "" if on_config.serving else POLICY  # the server's own reloading is an inline script
    return context


def on_post_build(config):
    """Write what is made of all pages: the search index, the Markdown twins, llms.txt, the feed."""

    def write(name: str, text: str) -> None:
        write_file(text.encode(), f"{config.site_dir}/{name}")

    found = [p.found | (START if p.meta.get("level") == "start" else {}) for p in on_env.pages if p.found]
    write("assets/search-index.js", search.index(found))
    addresses = {file.src_uri: file.url for file in on_env.built[1]}
    twins = {}
    for p in on_env.pages:
        go_on()
        twins[p.url] = outputs.twin(ROOT, p.markdown, p.file.src_uri, addresses.get)
    twins = outputs.settled(twins)
    for url, text in twins.items():
        write(f"{url}index.md", text)
    base = config.site_url or ""
    write("llms.txt", outputs.llms(state, config.site_name, config.site_description, base))
    write("llms-full.txt", outputs.llms_full(state, twins, config.site_name, base))
    write("feed.xml", outputs.feed(state, config.site_name, base))
    if base:
        write("robots.txt", f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n")


def _finish(html_text: str, page) -> dict:
    """Render formulas as MathML, which needs no script; insist on alt text; explain terms; see what can be searched."""
    go_on()
    html_text = re.sub(r'<(span|div) class="arithmatex">(.*?)</\1>', _mathml, html_text, flags=re.DOTALL)
    found = rooms.SCRIPT.search(html_text)
    if found:
        raise PluginError(f"{page.file.src_uri}: a page carries no script of its own: {found[0]}")
    for image in re.findall(r"<img\b[^>]*>", html_text):
        if not re.search(r'\balt="[^"]', image):
            raise PluginError(f"{page.file.src_uri}: a figure has no alt text: {image[:80]}")
    html_text = html_text.replace('<span class="c1">#&gt;', '<span class="c1 printed">#&gt;')
    if page.file.src_uri != "glossary.md":  # which says it all
        glossary = get_relative_url("glossary/", page.url)
        html_text = pages.mark_terms(html_text, state.terms, glossary)
    html_text = pages.keep_together(html_text)
    html_text = re.sub(r'<p>(?=<img [^>]*src="[^"]*\bfigure-\d)', '<p class="figure" tabindex="0">', html_text)
    # wide code and wide tables scroll inside themselves, and a keyboard can scroll them; Material leaves tables with a
    # class alone
    html_text = html_text.replace("<pre><span></span><code>", '<pre><span></span><code tabindex="0">')
    scrolling = r'<div class="table" tabindex="0"><table class="data">\1</table></div>'
    html_text = re.sub(r"<table>(.*?)</table>", scrolling, html_text, flags=re.DOTALL)
    weight = SEARCHED.get(page.file.src_uri.partition("/")[0], OTHERS)
    return {"content": html_text, "found": weight and {"weight": weight, **search.page(page.url, html_text)}}


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
