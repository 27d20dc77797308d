"""Make the search index: which words stand on which page, in which wording or section, small also for 1,000 questions.

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
ASKED, PROOFS = "also-asked", "how-we-know"
ELSEWHERE = ("related-questions", "references", "other-topics")  # sections that are about other pages
STOP = frozenset(  # words that tell nothing
    re.findall(
        r"\w+",
        """
        a about all an and any are as at be because been but by can could did do does doesn don for from get had has
        have i if in into is isn it its like may me my of on or our s so some t than that the their them then there
        these they this to too use used was we will with would you
        """,
    )
)
# words that tell what is asked and not of what
ASKING = frozenset(["how", "many", "much", "should", "what", "when", "where", "which", "who", "why"])
SAME = {  # stems of words that mean the same here
    "acc": "accuracy",
    "neuron": "unit",
    "percentag": "rate",
    "probability": "rate",
    "val": "validation",
}
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
        found.append(stem(whole))
        if len(parts) > 1:
            found += [stem(p.lower()) for p in parts if len(p) > 1]
    return found


def stem(word: str) -> str:
    """A word without its most common endings."""
    if len(word) > 4 and word.endswith(("ies", "ied")):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and word[-2] not in "su":
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "ls":
                word = word[:-1]
            break
    word = word[:-1] if len(word) > 4 and word.endswith("e") else word
    return SAME.get(word, word)


def page(url: str, content: str) -> dict:
    """What search needs of a page: title, summary, sections (anchor and heading), and its words.

    A word comes with its field, how often it stands there and where: one of a wording with the wording's number (the
    question itself is the first), one of the text with the section that has it most often, from 1, or 0. The words of
    the address count as the title's.
    """
    pieces = HEADING.split(SKIPPED.sub(" ", content))
    title, answer, asked, sections, headings, uses = "", pieces[0], "", [], {}, {}
    for tag, anchor, heading, text in zip(*(iter(pieces[1:]),) * 4, strict=True):
        if tag == "h1":
            title, answer = _plain(heading), answer + text
        elif anchor == ASKED:
            asked = text
        elif anchor not in ELSEWHERE:
            place = 0  # nobody looks for a proof
            if anchor != PROOFS:
                sections.append([anchor, _plain(heading)])
                place = len(sections)
                for word in words(_plain(heading)):
                    headings.setdefault(word, place)
            for word, times in Counter(words(_plain(text))).items():
                uses.setdefault(word, []).append((times, place))
    found = [(0, word, 1, 0) for word in set(words(f"{title} {url.rstrip('/').rpartition('/')[2]}"))]
    wordings = [set(words(_plain(item))) for item in [title, *asked.split("<li>")[1:]]]
    found += [(1, word, 1, i) for i, wording in enumerate(wordings) for word in wording]
    told = [(2, word, 1, 0) for word in set(words(_plain(answer)))]
    told += [(3, word, 1, section) for word, section in headings.items()]
    for word, use in uses.items():
        if not word.isdigit():
            most = max(use, key=lambda one: one[0] if one[1] else 0)  # the first of those that have as much
            told.append((4, word, sum(times for times, _ in use), most[1]))
    found += [use for use in told if use[1] not in ASKING]
    lengths = [sum(times for field, _, times, _ in found if field == i) for i in range(len(FIELDS))]
    lengths[1] = [len(wording) for wording in wordings]
    return {
        "url": url,
        "title": title,
        "summary": _shortened(_plain(answer)),
        "sections": sections,
        "words": found,
        "lengths": lengths,
    }


def index(pages: list[dict]) -> str:
    """The index as one JavaScript file, which also works where nothing is served. A page has a `weight` too."""
    listed, postings = [], {}
    for i, p in enumerate(pages):
        summary = p["summary"] if p["weight"] >= 1 else ""
        sections = [text for section in p["sections"] for text in section]
        listed.append([p["url"], p["title"], summary, p["weight"], p["lengths"], sections])
        for field, word, times, place in p["words"]:
            code = field + len(FIELDS) * (min(times, MOST) - 1 + MOST * place)
            postings.setdefault(word, []).append((i, code))
    made = {
        "pages": listed,
        "stop": sorted(STOP),
        "asking": sorted(ASKING),
        "same": SAME,
        "words": {word: _packed(postings[word]) for word in sorted(postings)},
    }
    text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
    return f"searchIndex = JSON.parse({json.dumps(text, ensure_ascii=False)});\n"  # faster than an object's source


def _packed(found: list[tuple[int, int]]) -> list[int]:
    """For each use of a word: how many pages further on, then field, frequency and place in one number."""
    packed, last = [], 0
    for page, code in found:
        packed += [page - last, code]
        last = page
    return packed


def _plain(content: str) -> str:
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())
    return re.sub(r" (?=[.,:;?!)])", "", text)  # behind a link or a term


def _shortened(text: str) -> str:
    return text if len(text) <= SUMMARY else text[:SUMMARY].rpartition(" ")[0] + " …"
