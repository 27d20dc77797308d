"""The Markdown of everything that is generated: question pages, lists, marks, numbers, citations.

`Site` is what one build knows, read once. Whatever a page names and the project does not have raises `Problem`.
"""

import functools
import html
import re
import sys
from pathlib import Path

from pybtex.database import parse_file
from pybtex.richtext import Text

from kb import answers, evidence, facts, notebook_pages
from kb import question as rooms
from kb.check import LEVELS, sentences
from kb.marks import Mark, Marks
from kb.question import BACKENDS, Claim, Problem, Question, enumeration, keras_for, module

# a program and, where it stands right behind, the same for one backend
INCLUDED = re.compile(
    r'^```python\n--8<-- "snippets/(\w+)\.py"\n```$'
    r'(?:\n\n^```python\n--8<-- "snippets/(\1_(?:jax|torch))\.py"\n```$)?',
    re.MULTILINE,
)
ON_PAPER = 100  # lines: a program that is longer is not printed, but where it is
MEANING = {  # of the marks, in words; the last two are of a question's claims together
    "verified": "The test passed there on that day, and nothing that it rests on has changed since",
    "stale": "The test passed there on that day, but something that it rests on has changed since",
    "failed": "The test ran there and failed",
    "none": "The test has not run there",
    "verified all": "The tests passed there, and nothing that they rest on has changed since",
    "stale some": "Some of the tests have not passed there since something that they rest on changed",
}


class Site:
    def __init__(self, root: Path, go_on=lambda: None):
        """Whoever may want to stop meanwhile gives `go_on`, which is called often and raises."""
        self.root = root
        self.questions, self.claims = {}, {}
        for slug in rooms.slugs(root):
            go_on()
            self.questions[slug] = rooms.read(root / f"docs/questions/{slug}.md")
            self.claims[slug] = rooms.claims(root, slug)
        self.changed = answers.dates(root)
        self.marks = Marks(root, self.questions, self.claims, go_on)
        self.records = self.marks.records
        self.values = evidence.values(root, self.records.get(evidence.DEFAULT))
        self.papers = {p.key: p for p in parse_file(root / "docs/references.bib").entries.values()}
        self.terms = _terms(root / "docs/glossary.md")
        self.notebooks = sorted(p.stem for p in (root / "notebooks").glob("*.ipynb"))
        self._sort()

    def reread(self, slug: str) -> Question:
        """Take in what changed on a question's page."""
        q = self.questions[slug]
        vars(q).update(vars(rooms.read(self.root / f"docs/questions/{slug}.md")))
        self._sort()
        return q

    def _sort(self) -> None:
        unknown = [q for q in self.questions.values() if q.topic not in rooms.TOPICS]
        if unknown:
            raise Problem(f"docs/questions/{unknown[0].slug}.md: unknown topic `{unknown[0].topic}`.")
        self.topics = {topic: self._listed(topic) for topic in rooms.TOPICS if self._listed(topic)}

    def _listed(self, topic: str) -> list[Question]:
        """The questions of a topic, in the order in which one would read them."""
        found = [q for q in self.questions.values() if q.topic == topic]
        return sorted(found, key=lambda q: (LEVELS.index(q.level) if q.level in LEVELS else 9, q.slug))

    # --------------------------------------------------------------------------------- question pages

    def question_page(self, q: Question) -> str:
        body = INCLUDED.sub(lambda m: self._tabs(m[1], m[2]) if m[2] else self._program(m[1]), q.body)
        parts = [f"# {q.question}", f'<div class="answer" markdown>\n\n{q.answer}\n\n</div>', self._verdict(q), body]
        parts += ["## How we know { #how-we-know }", self._how_we_know(q.slug)]
        parts += ["## Also asked", "\n".join(f"- {text}" for text in q.also_asked)]
        if q.references:
            parts += ["## References", "\n".join(f"- {self.reference(key)}" for key in q.references)]
        if q.related:
            links = [f"- [{self.questions[s].question}]({s}.md)" for s in q.related if s in self.questions]
            parts += ["## Related questions", "\n".join(links)]
        return "\n\n".join(parts) + "\n"

    def neighbours(self, q: Question) -> tuple[Question | None, Question | None]:
        """The questions before and after it in its topic."""
        listed = self.topics[q.topic]
        at = listed.index(q)
        return listed[at - 1] if at else None, listed[at + 1] if at + 1 < len(listed) else None

    def _tabs(self, *names: str) -> str:
        """The same answer for several libraries: radio buttons, which a keyboard reaches without scripts."""
        group, heads = f"tabs-{names[0]}", []
        for i, name in enumerate(names):
            backend = rooms.backend_of(Path(f"{name}.py"))
            label, checked = BACKENDS[backend] if backend else "Keras", "" if i else " checked"
            head = f'<input type="radio" name="{group}" id="tab-{name}" value="{label}"{checked}>'
            heads.append(f'{head}<label for="tab-{name}">{label}</label>')
        parts = [f'<div class="tabs" role="group" aria-label="The program in" markdown>\n{"".join(heads)}']
        parts += [f'<div class="tab" markdown>\n\n{self._program(name)}\n\n</div>' for name in names]
        return "\n\n".join([*parts, "</div>"])

    def _program(self, name: str) -> str:
        """A program with its name, what copies it, and what it needs."""
        path = self.root / f"snippets/{name}.py"
        long = " long" if path.read_text(encoding="utf-8").count("\n") > ON_PAPER else ""
        buttons = "".join(
            f'<button type="button" class="copy" data-copy="{what}">{label}</button>'
            for what, label in (("program", "Copy"), ("all", "Copy with output"))
        )
        download = f'[Download](../snippets/{path.name}){{ download="{path.name}" }}'
        bar = f'<span class="name">{path.name}</span> {buttons} {download}'
        fence = f'```python\n--8<-- "snippets/{path.name}"\n```'
        return "\n\n".join(
            [
                f'<div class="program{long}" markdown>',
                f'<div class="bar" data-search-exclude markdown="span">{bar}</div>',
                fence,
                f'<div class="needs" data-search-exclude markdown="span">{self._needs(path)}</div>',
                "</div>",
            ]
        )

    def _needs(self, path: Path) -> str:
        """What a program needs, in one line: packages, programs beside it, time."""
        tree = rooms.parse(path, self.root)
        tops = {name.partition(".")[0] for name in rooms.imports(tree)}
        beside = sorted(p.name for p in rooms.imported_snippets(tree, self.root))
        named = [b for b in BACKENDS if b in tops or path.stem.endswith(f"_{b}")]
        others = sorted(tops - set(BACKENDS) - {"keras"} - {Path(b).stem for b in beside} - STANDARD)
        packages = [f"`{keras_for(path)}`"] if "keras" in tops or beside else []
        packages += [f"`{b}`" for b in named] or (["a backend"] if packages else [])
        packages += [f"`{rooms.PACKAGES.get(name, name)}`" for name in others]
        text = f"Needs {enumeration(packages)}" if packages else "Needs Python alone"
        if beside:
            text += f", and {enumeration([f'[{b}](../snippets/{b})' for b in beside])} beside it"
        seconds = self._seconds(path)
        if seconds:
            text += f". Takes about {seconds:.0f}\u00a0s on a CPU"
        return text + "."

    def _seconds(self, path: Path) -> float | None:
        """How long the program took as one of its own, if it is still the one that was timed.

        A program for one backend ran in that backend's record alone."""
        runner = f"cpu-{backend}" if (backend := rooms.backend_of(path.name)) else evidence.DEFAULT
        for programs in self.marks.records.get(runner, {}).get("programs", {}).values():
            timed = programs.get(path.name)
            if timed and timed["file"] == evidence.digest(path.read_bytes()):
                return max(timed["seconds"], 1)
        return None

    def _verdict(self, q: Question) -> str:
        """One line below the answer: how many claims, where they passed, when."""
        kind, text = self.marks.verdict(q.slug)
        title = "Each claim is a test. " + MEANING[kind]
        return f'<p class="verdict {kind}" markdown>[{text}](#how-we-know){{ title="{title}" }}</p>'

    def _how_we_know(self, slug: str) -> str:
        notebook = (
            f" [The notebook](../notebooks/{slug}.ipynb) shows it step by step." if slug in self.notebooks else ""
        )
        versions = self.marks.versions(slug)
        # each claim's line is on the screen alone; on paper a ✓ marks the sentences that it proves
        line, tick = '<span class="screen"> where its line says</span>', '<span class="paper"> with a ✓</span>'
        where = f"that ran{line}, in {versions}" if versions else "that has not run yet"
        runs = "([every run](../verified.md))"
        parts = [f"Each sentence{tick} is [a test](../proofs/{slug}.md) {where} {runs}.{notebook}"]
        parts += [self._claim(slug, claim) for claim in self.claims[slug]]
        return "\n\n".join(parts)

    def _claim(self, slug: str, claim: Claim) -> str:
        item = self.marks.entry(slug, claim.test)
        anchor = f"../proofs/{slug}.md#__codelineno-0-{claim.line}"
        lines = [
            f'<div class="claim" id="{claim.test}" markdown>',
            "",
            self.marks.sentence(slug, claim),
            "",
            f"{_marks(self.marks.of(slug, claim))} ·\u00a0[the\u00a0test]({anchor}){{ .test }}",
            "",
            _measured_table(item),
            "</div>",
            "",
        ]
        return "\n".join(lines)

    def reference(self, key: str, anchor: str = "ref-") -> str:
        if key not in self.papers:
            raise Problem(f"unknown reference `{key}`: not in docs/references.bib.")
        paper = self.papers[key]
        names = [_unicode(" ".join(p.prelast_names + p.last_names)) for p in paper.persons["author"]]
        who = names[0] if len(names) == 1 else f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} et al."
        f = {k: _unicode(v) for k, v in paper.fields.items() if k != "url"}
        where = f.get("journal") or f.get("booktitle") or f.get("publisher", "")
        if "volume" in f:
            where += f" {f['volume']}"
        url = paper.fields["url"]
        return f'<span id="{anchor}{key}">{who} ({f["year"]}).</span> [{f["title"]}]({url}). {where}.'

    # --------------------------------------------------------------------------------------- lists

    def question_list(self) -> str:
        """Every question with the first sentence of its answer, which answers, by topic."""
        parts = []
        for topic, listed in self.topics.items():
            parts.append(f"## [{rooms.TOPICS[topic]}](topics/{topic}.md) {{ #{topic} }}")
            parts += [_listing(q, "", sentences(q.answer)[0]) for q in listed]
        return "\n\n".join(parts)

    def topic_page(self, topic: str) -> str:
        parts = [f"# {rooms.TOPICS[topic]}", *(_listing(q, "../", q.answer) for q in self.topics[topic])]
        others = [f"[{rooms.TOPICS[t]}]({t}.md)" for t in self.topics if t != topic]
        return "\n\n".join([*parts, "## Other topics", "\n".join(f"- {link}" for link in others)]) + "\n"

    def corrections(self) -> str:
        """Each mistake that a page quotes, with what is true instead: those that were true once come first."""
        stale, wrong = [], []
        for listed in self.topics.values():
            for q in listed:
                for quote, truth in mistakes(q):
                    link = f"[{q.question}](questions/{q.slug}.md#commonly-said-and-wrong){{ .from }}"
                    (stale if ONCE_TRUE.search(truth) else wrong).append(f"{quote}\n\n{truth}\n\n{link}")
        heads = ("## True once, and not any more", stale), ("## Never true", wrong)
        return self.fill("\n\n".join("\n\n".join([head, *found]) for head, found in heads if found), "", "")

    def reference_list(self) -> str:
        """Each paper that a question cites, with those questions."""
        parts = []
        for key in sorted(self.papers, key=lambda key: self.reference(key).partition(">")[2].lower()):
            citing = [f"[{q.question}](questions/{q.slug}.md)" for q in self.questions.values() if key in q.references]
            if citing:
                parts.append(f"{self.reference(key)}\n\nCited in: {' · '.join(citing)}\n{{ .cited }}")
        return "\n\n".join(parts)

    def where_table(self) -> str:
        """The rows of docs/where.yml whose questions are all there."""
        name = "docs/where.yml"
        rows = [f"| architecture | {' | '.join(WHERE.values())} |", "| --- |" + " --- |" * len(WHERE)]
        for row in rooms.rows(self.root / name, self.root):
            if not (isinstance(row, dict) and row.keys() == {"for", *WHERE}):
                raise Problem(
                    f"{name}: each row says `for`, {', '.join(f'`{key}`' for key in WHERE)} and nothing else."
                )
            if all(row[key]["see"] in self.questions for key in WHERE):
                cells = [self._where_cell(name, row[key]) for key in WHERE]
                rows.append(f"| **{row['for']}** | {' | '.join(cells)} |")
        return "\n".join(rows)

    def _where_cell(self, name: str, cell: dict) -> str:
        try:
            proof = self.proof(cell["proof"], cell["see"], "", "", "proof")
        except Problem as problem:
            raise Problem(f"{name}: {problem}") from None
        return f"[{cell['says']}](questions/{cell['see']}.md) {proof}"

    # ------------------------------------------------------------------------------- placeholders

    def fill(self, markdown: str, slug: str, up: str) -> str:
        """Fill in numbers, proofs, citations and lists, outside of code. `up` leads from the page to docs/."""
        held: list[str] = []

        def hold(match: re.Match) -> str:
            held.append(match[0])
            return f"\0{len(held) - 1}\0"

        for pattern in (rooms.FENCE, rooms.CODE):
            markdown = pattern.sub(hold, markdown)
        markdown = rooms.CAPTIONED.sub(
            lambda m: notebook_pages.figure(self.root, slug, int(m["number"]), m["caption"]), markdown
        )
        markdown = rooms.CITATION.sub(lambda m: self._citation(m, slug, up), markdown)
        markdown = rooms.PLACEHOLDER.sub(lambda m: self._placeholder(m[1], slug, up), markdown)
        markdown = TABLE.sub(lambda m: said_once(m[0]), markdown)
        while "\0" in markdown:
            markdown = re.sub(r"\0(\d+)\0", lambda m: held[int(m[1])], markdown)
        return markdown

    def _placeholder(self, text: str, slug: str, up: str) -> str:
        if text in LISTS:
            return LISTS[text](self)
        if text in PARTIALS:
            return (self.root / f"theme/partials/{text}.html").read_text(encoding="utf-8")
        timing, proof = rooms.TIMING.match(text), rooms.PROOF.match(text)
        if timing:
            return self.marks.timing(slug, timing["test"])
        return self.proof(proof["test"], proof["slug"] or slug, slug, up) if proof else evidence.fill(text, self.values)

    def proof(self, test: str, where: str, slug: str, up: str, words: str = "proven by a test") -> str:
        """A link to the claim that proves a sentence of the page `slug`."""
        if test not in [c.test for c in self.claims.get(where, [])]:
            raise Problem(f"there is no claim `{where}.{test}`.")
        page = "" if where == slug else f"{up}questions/{where}.md"
        proven = self.marks.is_proven(where, test)
        return f"[{words if proven else 'see the test'}]({page}#{test}){{ .proof{' .proven' if proven else ''} }}"

    def _citation(self, match: re.Match, slug: str, up: str) -> str:
        key = match["key"]
        label = self.label(key)
        place = f", {match['place']}" if match["place"] else ""
        page = "" if slug in self.questions else f"{up}references.md"  # a question lists its own
        return f"([{label}]({page}#ref-{key}){place})"

    def label(self, key: str) -> str:
        """Authors and year of a paper."""
        label = self.reference(key).partition("</span>")[0].partition(">")[2].rstrip(".")
        return label.replace("(", "").replace(")", "")


LISTS = {
    "questions": Site.question_list,
    "runners": lambda site: site.marks.runners_table(),
    "disagreements": lambda site: site.marks.disagreement_list(),
    "verified": lambda site: site.marks.claim_list(_marks),
    "references": Site.reference_list,
    "corrections": Site.corrections,
    "where": Site.where_table,
    "coverage": facts.listing,
}
WHERE = {"place": "place", "layer": "layer", "rate": "first rate to try", "avoid": "avoid"}
PARTIALS = ("field", "network")  # pieces of the home page that are HTML
STANDARD = sys.stdlib_module_names


# how a correction says that the mistake was right in an older version
ONCE_TRUE = re.compile(r"\b[Tt]rue (?:of|in|until|up to) |\bwas (?:true|right)\b")


def mistakes(q: Question) -> list[tuple[str, str]]:
    """(quote, what is true instead) of each mistake that a page quotes, as Markdown for a page in docs/."""
    section = q.body.partition("\n## Commonly said, and wrong\n")[2].partition("\n## ")[0]
    section = rooms.FENCE.sub("", section)
    section = re.sub(r"\{\{ proof (test_\w+) \}\}", rf"{{{{ proof {q.slug}.\1 }}}}", section)
    # links that begin in docs/questions/, seen from docs/
    section = re.sub(r"\]\((?!\.\./|#|[a-z]+:)", "](questions/", section).replace("](../", "](")
    section = section.replace("](#", f"](questions/{q.slug}.md#")
    quotes = re.findall(r"^((?:>.*\n)+)((?:(?!>).*\n?)*)", section + "\n", re.MULTILINE)
    return [(quote.strip(), re.sub(r"\n{3,}", "\n\n", truth).strip().rstrip(":")) for quote, truth in quotes]


@functools.cache
def _unicode(latex: str) -> str:
    if not re.search(r"[\\$~]|--", latex):
        return re.sub(r"[{}]", "", latex)  # what decodes LaTeX takes a quarter of a second to load
    return str(Text.from_latex(latex))


def _listing(q: Question, up: str, answer: str) -> str:
    """A question and its answer, as lists show them."""
    return f"[{q.question}]({up}questions/{q.slug}.md){{ .question }}\n\n{answer}"


def _marks(marks: list[Mark]) -> str:
    """The marks of a claim, each with its meaning in words for a pointer and for a screen reader."""
    made = []
    for kind, words in marks:
        meaning = html.escape(MEANING.get(kind, ""))
        more = f'<span class="unseen"> ({meaning})</span>' if meaning else ""
        title = f' title="{meaning}"' if meaning else ""
        made.append(f'<span class="mark {kind}"{title}>{words}{more}</span>')
    return " · ".join(made)


def _measured_table(item: dict) -> str:
    if not item.get("values"):
        return ""
    rows = ["| measured | value | must be |", "| --- | --- | --- |"]
    for name, fields in item["values"].items():
        value = evidence.Value(**fields)
        rows.append(f"| {name.replace('_', ' ')} | {_cell(value.value)} | {_condition(value)} |")
    return "\n".join(["<details markdown><summary>Measured values</summary>", "", *rows, "", "</details>"])


def _condition(value: evidence.Value) -> str:
    if value.kind == "exact":
        return "exactly this"
    if value.kind == "close":
        return f"{_cell(value.expected)} ± {value.tolerance:g}"
    if value.kind == "sampled":
        return f"{_cell(value.expected)} ± {evidence.SIGMAS * value.error:.2g} (5 standard errors, n = {value.n})"
    counted = "rounds" if value.kind == "timed" else "paired replicas"
    return f"{evidence.INTERVAL} {_cell(value.low)} to {_cell(value.high)}, {value.n} {counted}"


def _cell(value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    if isinstance(value, list) and len(value) > 8 and len(set(map(str, value))) == 1:
        return f"{len(value)} times {_cell(value[0])}"
    return f"`{value}`" if isinstance(value, str) else str(value)


TERM = re.compile(r"^(\S[^\n{]*?) \{ #([\w-]+) \}\n:   (.+(?:\n    .+)*)", re.MULTILINE)
TABLE = re.compile(r"(?:^\|.*(?:\n|\Z))+", re.MULTILINE)
TAG = re.compile(r"(<[^>]*>)")
NOT_PROSE = re.compile(r"<(/?)(?:a|button|code|dt|figure|h[1-6]|math|pre|summary|svg|table)\b")
CODE = re.compile(r"(<pre\b.*?</pre>|<code\b.*?</code>)", re.DOTALL)
TOGETHER = re.compile(r"(?<=\d) (?=%)|(?<=\d) (?=to [+−]?[\d.,]+\))|(?<=\d to) (?=[+−]?[\d.,]+\))")


def _terms(glossary: Path) -> dict[str, tuple[str, str]]:
    """Term → its anchor in the glossary and its meaning in one sentence."""
    found = TERM.findall(glossary.read_text(encoding="utf-8")) if glossary.exists() else []
    return {
        term.lower(): (anchor, re.match(r".+?\.(?=\s|$)", plain(" ".join(text.split())))[0])
        for term, anchor, text in found
    }


def mark_terms(html_text: str, terms: dict[str, tuple[str, str]], glossary: str) -> str:
    """Link the first use of each term to the glossary, with its meaning as a description that CSS shows.

    Not in tables: they scroll inside themselves, and would cut it off."""
    if not terms:
        return html_text
    names = "|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])(?<!learning )({names})(s?)(?![\w-])", re.IGNORECASE)
    seen: set[str] = set()

    def link(match: re.Match) -> str:
        term = match[1].lower()
        if term in seen:
            return match[0]
        seen.add(term)
        anchor, meaning = terms[term]
        return f'<a class="term" href="{glossary}#{anchor}" aria-description="{html.escape(meaning)}">{match[0]}</a>'

    pieces, depth = TAG.split(html_text), 0
    for i, piece in enumerate(pieces):
        tag = NOT_PROSE.match(piece)
        if tag and not piece.endswith("/>"):
            depth += -1 if tag[1] else 1
        elif not depth and not piece.startswith("<"):
            pieces[i] = pattern.sub(link, piece)
    return "".join(pieces)


def said_once(table: str) -> str:
    """The first row of a table that has intervals says which they are: 95 %; in the rows below it only bounds stand."""
    rows = table.splitlines(keepends=True)
    first = next((i for i, row in enumerate(rows) if evidence.INTERVAL in row), len(rows))
    return "".join(rows[: first + 1] + [row.replace(f"({evidence.INTERVAL} ", "(") for row in rows[first + 1 :]])


def keep_together(html_text: str) -> str:
    """No line ends between a number and its per cent sign, or within the bounds of an interval, `0.2 to 0.4)`."""
    pieces = CODE.split(html_text)
    pieces[::2] = [TOGETHER.sub("\u00a0", piece) for piece in pieces[::2]]
    return "".join(pieces)


def plain(markdown: str) -> str:
    """Markdown as plain text, for a description."""
    return re.sub(r"[*_`]|\[@[^\]]*\]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown))


def proof_page(q: Question) -> str:
    name = f"tests/questions/test_{module(q.slug)}.py"
    return (
        f"# Proof: {q.question}\n\n[The answer](../questions/{q.slug}.md) rests on `{name}`. "
        f'Run it with `make verify Q={q.slug}`.\n\n```python linenums="1"\n--8<-- "{name}"\n```\n'
    )
