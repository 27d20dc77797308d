"""What machines read: a Markdown twin of each page, llms.txt, QAPage data, a feed of changed answers."""

import html
import json
import posixpath
import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

from markdown.extensions.toc import slugify

from kb import question as rooms
from kb.pages import Site, plain

ATOM = "http://www.w3.org/2005/Atom"
SECTION = re.compile(r'^<div class="claim" id="(\w+)"[^>]*>$', re.MULTILINE)  # of which the twin makes one
BAR = re.compile(r'^<div class="bar"[^\n]*<span class="name">([\w.]+)</span>[^\n]*$', re.MULTILINE)
TAB = re.compile(r'<input\b[^>]* id="tab-(\w+)" value="([^"]+)"')
RAW = (  # HTML that only a screen or a mouse needs
    re.compile(r"^<(figure|svg)\b.*?^</\1>\n", re.MULTILINE | re.DOTALL),
    re.compile(r'^<p class="field"[^\n]*\n', re.MULTILINE),
    re.compile(r'<span class="(?:unseen|paper)">.*?</span>|<button\b.*?</button>|<input\b[^>]*>|<label\b.*?</label>'),
    re.compile(r"</?(?:div|span|details|summary|p|a)\b[^>\n]*>"),
)
ATTRIBUTES = re.compile(r" ?\{:? (?:[.#]|\w+=)[^{}\n]*\}")
DARK = re.compile(r"\n?!\[[^\]]*\]\([^)]*#only-dark\)(?:\{[^}]*\})?")
INCLUDE = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)
LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?\)")
HERE = re.compile(r"(\]\()([^)\s#:]*)(#[^)\s]*)?\)")  # the same, or to a place in the page itself
PLACED = re.compile(r"\[([^\[\]]*)\]\(([^)\s#:]*)(#[^)\s]+)\)")  # a link to a place in a page
TARGET = re.compile(r"\]\([^)]*\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^(`{3,})(\w+) .*$", re.MULTILINE)  # a fence with more than its language


def twin(root: Path, markdown: str, uri: str, where) -> str:
    """A page as plain Markdown: included programs in place, nothing that is only for the screen.

    `where` gives the address of a file of the docs folder, or None: links between pages lead from twin to twin.
    """

    def link(match: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(uri), match[2]))
        url = where(target)
        if url is None:
            return match[0]
        url = posixpath.relpath(f"{url}index.md" if url.endswith("/") or not url else url, where(uri) or ".")
        return f"{match[1]}{url}{match[3] or ''})"

    kept: list[str] = []

    def keep(match: re.Match) -> str:
        code = INCLUDE.sub(lambda m: (root / m[1]).read_text(encoding="utf-8").rstrip(), match[0])
        kept.append(FENCED.sub(r"\1\2", code))
        return f"\0{len(kept) - 1}\0"

    for pattern in (rooms.FENCE, rooms.CODE):
        markdown = pattern.sub(keep, markdown)
    tabs = {f"{name}.py": f" for {label}" for name, label in TAB.findall(markdown)}
    markdown = BAR.sub(lambda m: f"`{m[1]}`{tabs.get(m[1], '')}:", markdown)
    markdown = SECTION.sub(r"### \1\n", markdown)
    for pattern in (*RAW, DARK, ATTRIBUTES):
        markdown = pattern.sub("", markdown)
    markdown = html.unescape(LINK.sub(link, markdown).replace("#only-light", ""))
    markdown = re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+$", "", markdown, flags=re.MULTILINE)).strip()
    while "\0" in markdown:
        markdown = re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], markdown)
    return markdown + "\n"


def settled(twins: dict[str, str]) -> dict[str, str]:
    """The twins, by their addresses, without links to places that only the HTML has: they lead to the page instead."""
    places = {
        url: {f"#{slugify(TARGET.sub('', title), '-')}" for title in HEADING.findall(rooms.FENCE.sub("", text))}
        for url, text in twins.items()
    }

    def settle(url: str, text: str) -> str:
        def link(match: re.Match) -> str:
            there = posixpath.normpath(posixpath.join(url, match[2])).removesuffix("index.md").removeprefix("./")
            if match[3] in places.get(there if match[2] else url, [match[3]]):
                return match[0]
            return f"[{match[1]}]({match[2]})" if match[2] else match[1]

        return _outside_code(text, lambda prose: PLACED.sub(link, prose))

    return {url: settle(url, text) for url, text in twins.items()}


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """What `change` makes of a text, code left as it is."""
    held: list[str] = []

    def hold(match: re.Match) -> str:
        held.append(match[0])
        return f"\0{len(held) - 1}\0"

    for pattern in (rooms.FENCE, rooms.CODE):
        text = pattern.sub(hold, text)
    text = change(text)
    while "\0" in text:
        text = re.sub(r"\0(\d+)\0", lambda m: held[int(m[1])], text)
    return text


def llms(site: Site, name: str, description: str, base: str) -> str:
    """llms.txt: what there is, each question with its answer, and where its Markdown lies."""
    parts = [
        f"# {name}",
        f"> {description}",
        "Each page lies beside its HTML as `index.md`; all in one: llms-full.txt.",
    ]
    for topic, listed in site.topics.items():
        parts.append(f"## {rooms.TOPICS[topic]}")
        parts.append("\n".join(f"- [{q.question}]({base}questions/{q.slug}/index.md): {q.answer}" for q in listed))
    return "\n\n".join(parts) + "\n"


def llms_full(site: Site, twins: dict[str, str], name: str, base: str) -> str:
    """All answers in one text, in the order of llms.txt, their headings one level lower, their links from the top."""

    def moved(prose: str, url: str) -> str:
        def link(match: re.Match) -> str:
            path = posixpath.normpath(posixpath.join(url, match[2] or "index.md"))
            return f"{match[1]}{base}{path}{match[3] or ''})"

        return re.sub(r"^#", "##", HERE.sub(link, prose), flags=re.MULTILINE)

    urls = [f"questions/{q.slug}/" for questions in site.topics.values() for q in questions]
    texts = [_outside_code(twins[url], lambda prose, url=url: moved(prose, url)) for url in urls]
    return "\n".join([f"# {name}\n", *texts])


def qa_page(site: Site, slug: str, url: str) -> str:
    """A question page as schema.org's QAPage, ready to stand in a script element; `url` is empty without an address."""
    q, author = site.questions[slug], {"@type": "Organization", "name": "The contributors to “Dropout, answered”"}
    answer = {
        "@type": "Answer",
        "text": plain(q.answer),
        **({"url": url} if url else {}),  # an address or nothing: no relative ones here
        "author": author,
        "citation": [re.sub(r"<[^>]*>", "", plain(site.reference(key))).strip() for key in q.references],
    }
    question = {
        "@type": "Question",
        "name": q.question,
        "text": q.question,
        "alternateName": q.also_asked,
        "author": author,
        "answerCount": 1,
        "acceptedAnswer": answer,
    }
    if slug in site.changed:
        question["dateModified"] = answer["dateModified"] = site.changed[slug]
    made = {"@context": "https://schema.org", "@type": "QAPage", "mainEntity": question}
    return json.dumps(made, ensure_ascii=False).replace("<", "\\u003c")


def feed(site: Site, name: str, base: str) -> str:
    """An Atom feed of the answers, the last changed first. `base` is the site's address, if it has one."""

    def add(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
        element = ET.SubElement(parent, f"{{{ATOM}}}{tag}", attributes)
        element.text = text or None
        return element

    ET.register_namespace("", ATOM)
    root = ET.Element(f"{{{ATOM}}}feed")
    dated = sorted(((day, slug) for slug, day in site.changed.items() if slug in site.questions), reverse=True)
    add(root, "title", name)
    add(root, "id", _identity(name))
    add(root, "updated", f"{dated[0][0]}T00:00:00Z" if dated else "1970-01-01T00:00:00Z")
    add(add(root, "author"), "name", "The contributors to “Dropout, answered”")
    add(root, "link", rel="self", href=f"{base}feed.xml")
    add(root, "link", href=base or "./")
    for day, slug in dated[:50]:
        q, entry = site.questions[slug], add(root, "entry")
        add(entry, "title", q.question)
        add(entry, "id", _identity(slug))
        add(entry, "updated", f"{day}T00:00:00Z")
        add(entry, "link", href=f"{base}questions/{slug}/")
        add(entry, "summary", plain(q.answer))
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _identity(name: str) -> str:
    """The same for ever, wherever the site lies."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"dropout-answered/{name}").urn
