"""Turn the Markdown of all pages into HTML: what did not change comes from .cache/, the rest is done side by side.

A page's HTML depends on its Markdown, on the files that it includes, on the addresses that exist, on this machinery
and on the versions of the libraries. What is stored carries the hash of all of these, and is used while it fits.
"""

import hashlib
import importlib.metadata
import json
import logging
import multiprocessing
import os
import re
import sys
import threading
from pathlib import Path

from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import get_toc

LIBRARIES = ("mkdocs", "Markdown", "pymdown-extensions", "Pygments", "latex2mathml")
INCLUDE = re.compile(r'^[ \t]*--8<--[ \t]+"([^"]+)"', re.MULTILINE)
FEW = 8  # pages that are done here before other processes have started


def postpone(page: Page) -> None:
    """Let MkDocs go on without the page's HTML, which `finish_all` makes once it knows all pages."""

    def nothing_yet(config, files):
        page.content, page.toc = "", get_toc([])

    page.render = nothing_yet


def finish_all(root: Path, pages: list[Page], config, files: Files, finish, known: str = "") -> None:
    """Render those of the pages that were postponed. Raises what a page raises.

    `finish` makes of a page's HTML its `content` and what search has `found` in it; `known` is what it goes by beside
    the page.
    """
    pages = [page for page in pages if "render" in vars(page)]
    common = _digest(known, *_machinery(root), *sorted(files.src_uris))
    todo = []
    for page in pages:
        path = root / f".cache/pages/{page.file.src_uri}.json"
        key = _digest(common, page.file.src_uri, page.markdown, *_included(root, page.markdown))
        made = _stored(path, key)
        if made:
            _put(page, made, files)
        else:
            todo.append((page, path, key))
    results = _render_all([page for page, _, _ in todo], config, files, finish)
    for (page, path, key), (made, complaints) in zip(todo, results, strict=True):
        _put(page, made, files)
        for record in complaints:
            logging.getLogger(record.name).handle(record)
        if not complaints:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"key": key, **made}), encoding="utf-8")


def _render_all(pages: list[Page], config, files: Files, finish) -> list:
    """Each page's result in their order, by as many processes as there are processors where that pays."""
    global _task  # forked processes find it

    def _task(i: int):
        return _render(pages[i], config, files, finish)

    numbers = range(len(pages))
    if len(pages) <= FEW or threading.active_count() > 1:
        return [_task(i) for i in numbers]
    with multiprocessing.get_context("fork").Pool(min(os.cpu_count() or 1, 8)) as pool:
        return pool.map(_do, numbers, chunksize=1)


def _do(i: int):
    return _task(i)


def _render(page: Page, config, files: Files, finish) -> tuple[dict, list[logging.LogRecord]]:
    """What a page's Markdown gives, and what MkDocs has to complain about in it."""
    complaints: list[logging.LogRecord] = []
    logger, listener = logging.getLogger("mkdocs"), logging.Handler(logging.WARNING)
    listener.emit = complaints.append
    before = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [listener], False
    try:
        Page.render(page, config, files)
    finally:
        logger.handlers, logger.propagate = before
    made = {
        **finish(page.content, page),
        "toc": _tokens(page.toc),
        "title": page._title_from_render,
        "anchors": sorted(page.present_anchor_ids or ()),
        "links": {file.src_uri: anchors for file, anchors in (page.links_to_anchors or {}).items()},
    }
    return made, complaints


def _put(page: Page, made: dict, files: Files) -> None:
    """Give a page what it would have after MkDocs' own rendering."""
    page.content, page.found, page.toc = made["content"], made.get("found"), get_toc(made["toc"])
    page._title_from_render, page.present_anchor_ids = made["title"], set(made["anchors"])
    page.links_to_anchors = {files.get_file_from_path(uri): anchors for uri, anchors in made["links"].items()}


def _tokens(toc) -> list[dict]:
    return [{"level": t.level, "id": t.id, "name": t.title, "children": _tokens(t.children)} for t in toc]


def _stored(path: Path, key: str) -> dict | None:
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        return made if made["key"] == key else None
    except (OSError, ValueError, KeyError):
        return None


def _included(root: Path, markdown: str) -> list[str]:
    paths = [root / path for path in INCLUDE.findall(markdown)]
    return [path.read_text(encoding="utf-8") for path in paths if path.is_file()]


def _machinery(root: Path) -> list[str]:
    sources = [root / "mkdocs.yml", *sorted(Path(__file__).parent.glob("*.py"))]
    versions = [importlib.metadata.version(name) for name in LIBRARIES]
    return [sys.version, *versions, *(path.read_text(encoding="utf-8") for path in sources)]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
