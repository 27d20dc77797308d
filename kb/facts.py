"""What practitioners asked in public, from docs/coverage.yml: fact by fact, its page and what carries it."""

from collections import Counter

from kb import question as rooms
from kb.question import Problem, enumeration

NAME = "docs/coverage.yml"
ROW = {"id", "asks", "page", "facts"}  # which every row has; it may also say what is `wrong` where it was asked
CARRIED = {  # by what: words in the summary, and in front of the links
    "proven": ("proven by a test", "Proven"),
    "cited": ("cited from a source", "From a source"),
    "linked": ("read on a page elsewhere", "From a page elsewhere"),
}
OTHERS = {"wrong": "that do not hold", "open": "open"}


def listing(site) -> str:
    """Each question with its facts, and how many facts stand on what."""
    parts, counted = [], Counter()
    rows = rooms.rows(site.root / NAME, site.root)
    for row in rows:
        if not (isinstance(row, dict) and ROW <= row.keys() <= {*ROW, "wrong"}):
            raise Problem(f"{NAME}: each row says `id`, `asks`, `page` and `facts`, and may say `wrong`.")
        try:
            parts += [f"**{_literal(row['asks'])}**{{ #{row['id']} .question }}", f"Answered in {_page(site, row)}."]
            if not row["facts"] or not isinstance(row["facts"], list):
                raise Problem("a row lists the facts of its answer.")
            parts.append("\n".join(f"- {_fact(site, row, fact, counted)}" for fact in row["facts"]))
        except Problem as problem:
            raise Problem(f"{NAME}: {row['id']}: {problem}") from None
        if row.get("wrong"):
            parts.append(f"*Often said, and wrong:* {_line(row['wrong'])}")
    words = {state: summary for state, (summary, _) in CARRIED.items()} | OTHERS
    states = enumeration([f"{counted[state]} {word}" for state, word in words.items() if counted[state]])
    return "\n\n".join([f"{len(rows)} questions with {counted.total()} facts: {states}.", *parts])


def _fact(site, row: dict, fact: dict, counted: Counter) -> str:
    """A fact with its state in words, and the links to what carries it."""
    if not (isinstance(fact, dict) and fact.get("says") and fact.keys() <= {"says", "page", *CARRIED, *OTHERS}):
        raise Problem("a fact has `says` and a state, and may have a `page` of its own.")
    says, where = _line(fact["says"]), fact.get("page", row["page"])
    carried = [state for state in CARRIED if fact.get(state)]
    others = [state for state in OTHERS if fact.get(state)]
    if not carried + others:
        raise Problem(f"“{says}” has no state: `proven`, `cited`, `linked`, `wrong` or `open`.")
    if len(carried) > 1 or len(others) > 1 or (carried and "open" in others):
        raise Problem(f"“{says}” has two states, `{(carried + others)[0]}` and `{(carried + others)[1]}`.")
    counted[(others + carried)[0]] += 1
    if "wrong" in others:
        says += f" *Does not hold:* {_line(fact['wrong'])}"
    if "open" in others:
        says += f" *Open:* {_line(fact['open'])}"
    if carried:
        links = [_link(site, carried[0], name, where) for name in _several(fact[carried[0]])]
        says += f" *{CARRIED[carried[0]][1]}:* {enumeration(links)}."
    slug, _, section = where.partition("#")
    if "page" in fact and section and slug == row["page"].partition("#")[0]:
        return f"{says} *Under* [{section.replace('-', ' ')}](questions/{slug}.md#{section}){{ .tap }}."
    return says + (f" *In* {_page(site, fact)}." if "page" in fact else "")


def _link(site, state: str, name: str, page: str) -> str:
    """What carries a fact, as a link that says what it is."""
    slug = page.partition("#")[0]
    if state == "proven":
        where, _, test = name.partition(".")
        words = test.removeprefix("test_").replace("_", " ")
        return site.proof(test, where, "", "", words).replace("{ .proof", "{ .tap .proof")
    if state == "cited":
        if name not in site.papers:
            raise Problem(f"unknown reference `{name}`.")
        return f"[{site.label(name)}](references.md#ref-{name}){{ .tap }}"
    _page(site, {"page": page})
    if f"]({name})" not in site.questions[slug].body:
        raise Problem(f"the link {name} does not stand on the page `{slug}`.")
    return f"[{_literal(name.partition('://')[2].rstrip('/'))}]({name}){{ .tap }}"


def _page(site, named: dict) -> str:
    slug, _, section = named["page"].partition("#")
    if slug not in site.questions:
        raise Problem(f"there is no question `{slug}`.")
    return f"[{site.questions[slug].question}](questions/{slug}.md{'#' * bool(section)}{section}){{ .tap }}"


def _several(named: str | list[str]) -> list[str]:
    return [named] if isinstance(named, str) else named


def _line(text: str) -> str:
    return " ".join(str(text).split())


def _literal(text: str) -> str:
    """A text in which nothing is Markdown, except code."""
    pieces = _line(text).split("`")
    pieces[::2] = [piece.replace("_", r"\_").replace("*", r"\*").replace("<", "&lt;") for piece in pieces[::2]]
    return "`".join(pieces)
