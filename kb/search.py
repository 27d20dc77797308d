"""Make the search index: which words stand on which page and in which section, small enough for a thousand questions.

`page` takes a page's HTML apart, `index` puts all pages together. theme/assets/search.js turns the index into
MiniSearch's own form and ranks; its `words` must cut a text as `words` does here (a test compares them).
"""

import html
import json
import re
from collections import Counter

FIELDS = ("title", "asked", "answer", "headings", "text")
SKIPPED = re.compile(
    r"<(pre|svg|math|button|details|script|style)\b.*?</\1>"
    r'|<a class="headerlink".*?</a>|<p class="(?:verdict|above)".*?</p>|<p><span class="mark.*?</p>'
    r'|<div class="(?:bar|needs)">.*?</div>',
    re.DOTALL,
)
HEADING = re.compile(r'<(h[1-6]|dt)\b[^>]*?\bid="([^"]*)"[^>]*>(.*?)</\1>', re.DOTALL)
ASKED = "also-asked"
ELSEWHERE = ("related-questions", "references", "other-topics")  # sections that are about other pages
STOP = frozenset(  # words that tell nothing
    re.findall(
        r"\w+",
        """
        a about all an and any are as at be because been but by can could did do does doesn don for from get had has
        have how i if in into is isn it its like may me much my of on or our s should so some t than that the their
        them then there these they this to too use used was we what which who why will with would you
        """,
    )
)
SUMMARY = 180  # characters of the answer that a hit shows
MOST = 8  # a word that stands there more often counts as so often


def words(text: str) -> list[str]:
    """The words of a text as the index knows them: `Two layers` is two, layer; `keep_prob` is itself, keep, prob."""
    found = []
    for word in re.findall(r"[A-Za-z0-9_]+", text):
        whole = word.strip("_").lower()
        if not whole or whole in STOP:
            continue
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", word)
        found += [stem(whole)] if len(parts) < 2 else [whole, *(stem(p.lower()) for p in parts if len(p) > 1)]
    return found


def stem(word: str) -> str:
    """A word without its most common endings."""
    if len(word) > 3 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and word[-2] not in "su":
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "ls":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def page(url: str, content: str) -> dict:
    """What search needs of a page: title, summary, sections (anchor and heading), and its words by field.

    The words of its address count as its title's. A word comes with how often it stands there; one of the text also
    with the section that has it most often.
    """
    pieces = HEADING.split(SKIPPED.sub(" ", content))
    title, answer, asked, sections, headings, uses = "", pieces[0], "", [], {}, {}
    for tag, anchor, heading, text in zip(*(iter(pieces[1:]),) * 4, strict=True):
        if tag == "h1":
            title, answer = _plain(heading), answer + text
        elif anchor == ASKED:
            asked = text
        elif anchor not in ELSEWHERE:
            sections.append([anchor, _plain(heading)])
            for word in set(words(_plain(heading))):
                headings.setdefault(word, [1, len(sections)])
            for word, times in Counter(words(_plain(text))).items():
                uses.setdefault(word, []).append((times, -len(sections)))
    named = f"{title} {url.rstrip('/').rpartition('/')[2]}"
    found = [{w: [n, 0] for w, n in Counter(words(_plain(part))).items()} for part in (named, asked, answer)]
    found += [headings, {w: [sum(n for n, _ in use), -max(use)[1]] for w, use in uses.items() if not w.isdigit()}]
    return {"url": url, "title": title, "summary": _shortened(_plain(answer)), "sections": sections, "words": found}


def also_asked(found: dict, wordings: list[str]) -> dict:
    """What search needs of a page that these wordings of its question lead to as well."""
    asked = dict(found["words"][1])
    for word, times in Counter(words(" ".join(wordings))).items():
        asked[word] = [asked.get(word, [0, 0])[0] + times, 0]
    return found | {"words": [found["words"][0], asked, *found["words"][2:]]}


def index(pages: list[dict]) -> str:
    """The index as one JavaScript file, which also works where nothing is served. A page has a `weight` too."""
    listed, postings = [], {}
    for i, p in enumerate(pages):
        lengths = [sum(n for n, _ in field.values()) for field in p["words"]]
        sections = [text for section in p["sections"] for text in section]
        listed.append([p["url"], p["title"], p["summary"] if p["weight"] == 1 else "", p["weight"], lengths, sections])
        for field, found in enumerate(p["words"]):
            for word, (times, section) in found.items():
                code = field + len(FIELDS) * (min(times, MOST) - 1 + MOST * section)
                postings.setdefault(word, []).append((i, code))
    made = {
        "pages": listed,
        "stop": sorted(STOP),
        "words": {word: _packed(postings[word]) for word in sorted(postings)},
    }
    return f"searchIndex = {json.dumps(made, ensure_ascii=False, separators=(',', ':'))};\n"


def _packed(found: list[tuple[int, int]]) -> list[int]:
    """For each use of a word: how many pages further on, then field, frequency and section in one number."""
    packed, last = [], 0
    for page, code in found:
        packed += [page - last, code]
        last = page
    return packed


def _plain(content: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())


def _shortened(text: str) -> str:
    return text if len(text) <= SUMMARY else text[:SUMMARY].rpartition(" ")[0] + " …"
