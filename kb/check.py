"""Everything that is wrong with the rooms of the questions and can be seen without running anything.

Nothing here imports Keras, so it is quick. Each problem is one sentence that begins with the file and, where there is
one, the line or the cell.
"""

import ast
import contextlib
import itertools
import json
import keyword
import os
import re
import string
import sys
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from kb import evidence, notebook_pages
from kb.question import (
    BACKENDS,
    CAPTIONED,
    CITATION,
    CODE,
    FENCE,
    FIGURE,
    MEASURED,
    PLACEHOLDER,
    PROOF,
    TIMING,
    TOPICS,
    Claim,
    Problem,
    Question,
    cell_source,
    claims,
    figure_alt,
    module,
    owner,
    parse,
    read,
    rooms,
    slug_of,
    slugs,
    snippets,
    tests_of,
    unreadable,
)

LEVELS = ("start", "practice", "research")
SECTIONS = ("The code", "Why", "When it does not hold", "Commonly said, and wrong")
GENERATED = ("How we know", "Also asked", "References", "Related questions")
LONGEST = 45  # lines of code of a snippet, without comments and docstrings
TOOLS = {"check_model.py", "fair_comparison.py"}  # which a reader uses whole, and need not read
OUTPUTS = ("text/plain", "image/svg+xml", "image/png")

INCLUDE = re.compile(r'^\s*--8<--\s+"(?P<path>[^"]+)"', re.MULTILINE)
MATH = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
# a decimal, a percentage or a number of points, typed by hand
TYPED = re.compile(r"(?<![\w.])[-+−]?\d+\.\d+|\b\d+(?:\.\d+)?\s*(?:%|per ?cent\b|points?\b)")
MARKETING = re.compile(r"\b(simply|just|obviously|easily|amazing|powerful|blazing\w*|seamless\w*)\b", re.IGNORECASE)
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u26ff]")
# names of devices: what one did is said only where one ran
DEVICE = re.compile(
    r"\b(?:[ABHV]100|[BH][23]00|G[BH][23]00|A(?:2|4|10G?|16|30|40|[2-6]000)|T4|L40?S?|P(?:4|40|100)|K80"
    r"|[GR]TX \w*\d+\w*|MI\d{3}\w?|TPUs?(?: v\d\w*)?|Apple M\d|Ryzen|Threadripper|Xeon|EPYC|Core i\d)\b"
)
# what `make new` writes for an author to replace
LEFT = re.compile(
    r"^(?:> |  )?Write (?:the answer here|why\.|when it does not hold\.|the mistake here|what is true instead)",
    re.MULTILINE,
)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]*)[^)]*\)")
ABBREVIATION = re.compile(r"\b(et al|e\.g|i\.e|vs|cf|approx)\.")


def problems(root: Path) -> list[str]:
    """Everything that is wrong with pages, rooms and stored outputs and can be seen without running anything."""
    found = unreadable(root)
    if found:
        return found  # whatever else is wrong can be said once they can be read
    questions: dict[str, Question] = {}
    known = slugs(root)
    for slug in known:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug):
            found.append(f"docs/questions/{slug}.md: a page is called by small letters, digits and hyphens.")
        if module(slug) in sys.stdlib_module_names or keyword.iskeyword(slug):
            found.append(f"docs/questions/{slug}.md: `{slug}` is a name of Python's own, which its snippet would hide.")
        try:
            questions[slug] = read(root / f"docs/questions/{slug}.md")
        except Problem as problem:
            found.append(str(problem))
    for check in (_orphans, _proof_problems, _snippet_problems, _notebook_problems, _bibliography_problems):
        found += check(root, known)
    try:
        record = evidence.load(root)
    except Problem:
        record = None  # reported with the records
    measured = evidence.values(root, record) if record else None
    for q in questions.values():
        found += _page_problems(root, q, known, record, measured)
    found += _prose_problems(root)
    return found


def _orphans(root: Path, known: list[str]) -> list[str]:
    found = []
    for slug in known:
        for path in rooms(slug):
            if not (root / path).exists():
                what = f"proof, {path}" if path.startswith("tests/") else path
                found.append(f"docs/questions/{slug}.md: the page has no {what}.")
    proven = sorted(known)  # a proof without a page answers for its snippets and its notebook
    for path in sorted((root / "tests/questions").glob("test_*.py")):
        if slug_of(path) not in known:
            proven.append(slug_of(path))
            found.append(f"tests/questions/{path.name}: the proof has no page, docs/questions/{slug_of(path)}.md.")
    for path in sorted((root / "snippets").glob("*.py")):
        if owner(path, proven) is None:
            found.append(f"snippets/{path.name}: the snippet belongs to no page: none is called {slug_of(path)}.md.")
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        if path.stem not in proven:
            found.append(f"notebooks/{path.name}: the notebook has no page, docs/questions/{path.stem}.md.")
    return found


def _proof_problems(root: Path, known: list[str]) -> list[str]:
    found = []
    for slug in known:
        path = root / f"tests/questions/test_{module(slug)}.py"
        name = f"tests/questions/{path.name}"
        if not path.exists():
            continue  # an orphan
        try:
            known_claims = claims(root, slug)
        except Problem as problem:
            found.append(str(problem))
            continue
        sentences = {c.test: c.sentence for c in known_claims}
        found += [f"{name}:{c.line}: `{c.test}` {p}" for c in known_claims for p in _marker_problems(c, [*sentences])]
        for test in tests_of(path, root):
            problem = _claim_problem(test, sentences[test.name])
            found += [f"{name}:{test.lineno}: `{test.name}` {problem}"] if problem else []
        for node in ast.walk(parse(path, root)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "program" and node.args:
                wanted = getattr(node.args[0], "value", None)
                if isinstance(wanted, str) and not (root / f"snippets/{wanted}.py").exists():
                    found.append(f"{name}:{node.lineno}: runs snippets/{wanted}.py, which does not exist.")
    return found


def _marker_problems(claim: Claim, tests: list[str]) -> list[str]:
    """What is wrong with the markers of a claim."""
    found = [
        f"is only about `{b}`, which is no backend: {', '.join(BACKENDS)}." for b in claim.only if b not in BACKENDS
    ]
    for text in claim.holds:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            found.append(f"holds in `{text}`, which is no range of versions, such as `keras>=3.0,<3.16`.")
            continue
        if {spec.operator for spec in wanted.specifier} - {">=", "<"} or not wanted.specifier:
            found.append(f"holds in `{text}`: write a range with `>=` and `<`, so that a version beside it can be run.")
    if claim.differs_see and (claim.differs_see not in tests or claim.differs_see == claim.test):
        found.append(f"differs between runners as `{claim.differs_see}` says, and there is no such claim beside it.")
    return found


def _claim_problem(test: ast.FunctionDef, sentence: str) -> str | None:
    """What is wrong with one claim: it measures nothing, or its sentence names a value that it does not measure."""
    uses = [n for n in ast.walk(test) if isinstance(n, ast.Name) and n.id == "claim"]
    calls = [n for n in ast.walk(test) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    calls = [n for n in calls if n.func.value in uses]
    if not uses:
        return "measures nothing: a claim calls claim.exact, close, share, sampled or trained."
    try:
        shown = [name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None]
    except ValueError as error:
        return f"has braces in its docstring that do not fit: {error}."
    measured = [getattr(n.args[0], "value", None) if n.args else None for n in calls]
    if len(calls) < len(uses) or not all(isinstance(name, str) for name in measured):
        return None  # names made as it runs: the record shows
    for name in (name.partition(".")[0] for name in shown):
        if name not in measured:
            return f"shows `{{{name}}}` in its docstring, and measures only {', '.join(measured)}."
    return None


def _page_problems(root: Path, q: Question, known: list[str], record: dict | None, values: dict | None) -> list[str]:
    name, found = f"docs/questions/{q.slug}.md", []
    text = (root / name).read_text(encoding="utf-8")
    begin = len(text) - len(q.body)

    def say(where: int | str, sentence: str) -> None:
        at = where if isinstance(where, int) else re.search(rf"^{where}", text, re.MULTILINE).start()
        found.append(f"{name}:{text.count(chr(10), 0, at) + 1}: {sentence}")

    count = len(sentences(q.answer))
    if count > 2:
        say("answer:", f"the answer has {count} sentences: two at most.")
    for left in LEFT.finditer(text):
        say(left.start(), f"“{left[0].strip('> ')}” is what `make new` wrote: write the page.")
    if not q.question.endswith("?"):
        say("question:", "the question does not end with a question mark.")
    if q.level not in LEVELS:
        say("level:", f"unknown level `{q.level}`: one of {', '.join(LEVELS)}.")
    if q.topic not in TOPICS:
        say("topic:", f"unknown topic `{q.topic}`: one of {', '.join(TOPICS)}.")
    papers = references(root)
    for key in q.references:
        if key not in papers:
            say(text.find(key, text.find("\nreferences:")), f"unknown reference `{key}`: not in docs/references.bib.")
    if not q.related and len(known) > 1:
        say("related:" if "\nrelated:" in text[:begin] else "---", "names no related question: `related: [<slug>]`.")
    for slug in q.related:
        if slug not in known or slug == q.slug:
            unknown = f"unknown related question `{slug}`." if slug != q.slug else "the page is related to itself."
            say(text.find(slug, text.find("\nrelated:")), unknown)

    if not q.body.strip():
        say(begin, "there is nothing below the front matter.")
        return found
    unclosed = _unclosed_fence(text, begin)
    if unclosed is not None:
        say(unclosed, "the code block that begins here never ends.")
        return found  # what is code and what is prose cannot be told
    prose = masked(text)
    found += _heading_problems(name, text, prose, begin)
    shown, broken = _include_problems(root, q.slug, text, begin)
    for at, sentence in broken:
        say(at, sentence)
    for path in [] if broken else snippets(root, q.slug):
        if f"snippets/{path.name}" not in shown:
            found.append(f"{name}: the page does not show snippets/{path.name}.")

    for match in CITATION.finditer(prose):
        if match["key"] not in q.references:
            say(match.start(), f"cites `{match['key']}`, which is not under `references`.")
    for key in q.references:
        if key in papers and f"@{key}" not in prose:
            say(text.find(key), f"the reference `{key}` is cited nowhere on the page.")
    for match in PLACEHOLDER.finditer(prose):
        for sentence in _placeholder_problems(root, q, match[1], known, record, values):
            say(match.start(), sentence)
        alone = "a list" if TIMING.match(match[1]) else "a figure" if FIGURE.match(match[1]) else ""
        if alone and not re.search(rf"^{re.escape(match[0])}$", prose, re.MULTILINE):
            say(match.start(), f"`{match[0]}` becomes {alone}: it stands on a line of its own.")
    for match in CAPTIONED.finditer(prose):
        if not match["caption"]:
            say(match.start(), "the figure has no caption: say on the line below it what its marks are.")
    for match in re.finditer(r"\{\{|\}\}", PLACEHOLDER.sub(_blank, prose)):
        say(match.start(), f"`{match[0]}` without its other half: a placeholder is `{{{{ … }}}}` on one line.")
    unquoted = re.sub(r"^>.*$", _blank, prose[begin:], flags=re.MULTILINE)  # a quoted mistake may say any number
    for block in re.finditer(r"(?:.*\S.*\n?)+", unquoted):
        bare = PLACEHOLDER.sub(_blank, CITATION.sub(_blank, LINK.sub(_blank_target, block[0])))
        typed = TYPED.search(bare)
        if typed and not CITATION.search(block[0]):
            near = typed[0].strip()
            say(
                begin + block.start() + typed.start(),
                f"“{near}” is typed by hand: use a measured number, cite its source, or mark a setting as code.",
            )
    found += _mistake_problems(name, prose)
    return found


def sentences(text: str) -> list[str]:
    """The sentences of a text in one paragraph; no full stop of code or of an abbreviation ends one."""
    bare = ABBREVIATION.sub(_blank, CODE.sub(_blank, text))
    ends = [match.end() for match in re.finditer(r"[.!?…][\"”’)*_]*(?=\s)", bare)]
    found = [text[start:end].strip() for start, end in itertools.pairwise([0, *ends, len(text)])]
    return [sentence for sentence in found if sentence]


def masked(text: str) -> str:
    """A text with everything blanked out that is not prose, place for place: code, formulas, includes."""
    for pattern in (FENCE, CODE, MATH):
        text = pattern.sub(_blank, text)
    return text


def _blank(match: re.Match) -> str:
    return re.sub(r"[^\n]", " " if "\n" in match[0] else "`", match[0])


def _blank_target(match: re.Match) -> str:
    return match[0].replace(match["target"], "`" * len(match["target"]))


def _unclosed_fence(text: str, begin: int) -> int | None:
    """Where a code block begins that never ends."""
    rest = FENCE.sub(_blank, text[begin:])
    match = re.search(r"^ *(`{3,}|~{3,})", rest, re.MULTILINE)
    return begin + match.start() if match else None


def _heading_problems(name: str, text: str, prose: str, begin: int) -> list[str]:
    """A page's title is its question; its sections are the given ones, in their order, and none is empty."""
    found = []
    matches = [m for m in re.finditer(r"^(#+)[ \t]+(.*)$", prose, re.MULTILINE) if m.start() >= begin]
    headings = [(len(m[1]), m[2].strip(), prose.count("\n", 0, m.start()) + 1) for m in matches]
    ends = [m.start() for m in matches[1:]] + [len(text)]
    for m, end, (level, title, line), below in zip(matches, ends, headings, [*headings[1:], (0, "", 0)], strict=True):
        if not text[m.end() : end].strip() and below[0] <= level:
            found.append(f"{name}:{line}: there is nothing below the heading “{title}”.")
    for level, title, line in headings:
        if level == 1:
            found.append(f"{name}:{line}: a second title, “{title}”: the page's title is its question.")
    for (above, _, _), (level, title, line) in itertools.pairwise([(1, "", 0), *headings]):
        if level > above + 1:
            found.append(f"{name}:{line}: the heading “{title}” skips a level: {'#' * (above + 1)} comes next.")
        if level == 2 and title in GENERATED:
            found.append(f"{name}:{line}: the section “{title}” is generated: the front matter or a run fills it.")
    sections = [(title, line) for level, title, line in headings if level == 2 and title in SECTIONS]
    wrong = [x for x, wanted in zip(sections, SECTIONS, strict=False) if x[0] != wanted] + sections[len(SECTIONS) :]
    if wrong or len(sections) < len(SECTIONS):
        line = wrong[0][1] if wrong else prose.count("\n", 0, begin) + 1
        found.append(f"{name}:{line}: the sections must be, in this order: {'; '.join(SECTIONS)}.")
    return found


def _include_problems(root: Path, slug: str, text: str, begin: int) -> tuple[list[str], list[tuple[int, str]]]:
    """The files that a page includes, and (place, sentence) of each include that cannot work."""
    shown, broken = [], []
    for match in re.finditer(r"^[ \t]*-+[ \t]*8[ \t]*<[ \t]*-+.*$", text[begin:], re.MULTILINE):
        include, at = INCLUDE.match(match[0]), begin + match.start()
        path = include["path"].split(":")[0] if include else ""
        target = (root / path).resolve()
        if not include:
            broken.append((at, f'`{match[0].strip()}` is no include: write `--8<-- "snippets/{module(slug)}.py"`.'))
        elif root.resolve() not in target.parents:
            broken.append((at, f"includes {path}, which lies outside the project."))
        elif target.is_dir():
            broken.append((at, f"includes {path}, which is a folder."))
        elif not target.exists() and path not in rooms(slug):  # a missing room is reported as such
            broken.append((at, f"includes {path}, which does not exist."))
        shown.append(path)
    return shown, broken


def _mistake_problems(name: str, prose: str) -> list[str]:
    """Each mistake quoted under the last section is followed by the test that refutes it."""
    before, heading, section = prose.partition("\n## Commonly said, and wrong")
    quotes = list(re.finditer(r"^(?:>.*\n)+((?:(?!>).*\n)*)", section.partition("\n## ")[0] + "\n", re.MULTILINE))
    first = before.count("\n") + 2
    if heading and not quotes:
        return [f"{name}:{first}: the section quotes no mistake: begin one with `> `."]
    return [
        f"{name}:{first + section.count(chr(10), 0, quote.start())}: "
        "a quoted mistake must be followed by its `{{ proof test_… }}`."
        for quote in quotes
        if "{{ proof" not in quote[1]
    ]


def _placeholder_problems(
    root: Path, q: Question, text: str, known: list[str], record: dict | None, values: dict | None
) -> list[str]:
    timing, proof, measured = TIMING.match(text), PROOF.match(text), MEASURED.match(text)
    if timing:
        try:
            found = [c.test for c in claims(root, q.slug) if c.device == "gpu"]
        except Problem:
            return []  # reported with the proof
        return [] if timing["test"] in found else [f"there is no claim `{timing['test']}` that is marked `gpu`."]
    if proof:
        slug = proof["slug"] or q.slug
        try:
            tests = [c.test for c in claims(root, slug)]
        except Problem:
            if slug in known:
                return []  # reported with the proof
            tests = []
        return [] if proof["test"] in tests else [f"there is no claim `{slug}.{proof['test']}`."]
    figure = FIGURE.match(text)
    if figure:
        try:
            notebook_pages.figure(root, q.slug, int(figure["number"]))
        except (Problem, ValueError, KeyError, TypeError) as problem:  # what is no notebook is reported with it
            return [str(problem)] if isinstance(problem, Problem) else []
    if not measured:
        return [] if figure else [f"`{{{{ {text} }}}}` is neither a measured number, nor a proof, nor a figure."]
    if record is None or (measured["slug"] in known and measured["slug"] not in record["claims"]):
        return []  # reported with the record
    tests = [t for t, i in record["claims"].get(measured["slug"], {}).items() if measured["name"] in i["values"]]
    if len(tests) > 1:
        return [f"`{measured['slug']}.{measured['name']}` is measured by several claims: {', '.join(tests)}."]
    try:
        evidence.fill(text, values)
    except Problem as problem:
        return [str(problem)]
    return []


def _snippet_problems(root: Path, known: list[str]) -> list[str]:
    found = []
    for path in sorted((root / "snippets").glob("*.py")):
        name, source = f"snippets/{path.name}", path.read_text(encoding="utf-8")
        try:
            tree = parse(path, root)
        except Problem as problem:
            found.append(str(problem))
            continue
        if not ast.get_docstring(tree):
            found.append(f"{name}:1: the first line must say what the program shows.")
        elif "#>" not in source:
            found.append(f"{name}: the program's output is not written beside its prints (`#>`).")
        if _lines_of_code(source, tree) > LONGEST and path.name not in TOOLS:
            found.append(f"{name}: more than {LONGEST} lines of code: a reader wants to read what they copy.")
    return found


def _lines_of_code(source: str, tree: ast.Module) -> int:
    lines = {i for i, x in enumerate(source.splitlines(), start=1) if x.strip() and x.strip()[0] != "#"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def _notebook_problems(root: Path, known: list[str]) -> list[str]:
    found = []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        name = f"notebooks/{path.name}"
        try:
            found += [f"{name}: {p}" for p in _cell_problems(root, path, known)]
        except (ValueError, KeyError, TypeError, AttributeError):
            found.append(f"{name}: this is not a notebook.")
    return found


def _cell_problems(root: Path, path: Path, known: list[str]) -> list[str]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = list(enumerate(notebook["cells"], start=1))
    code = [(i, c) for i, c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip()]
    kernel = notebook["metadata"].get("kernelspec", {}).get("name")
    again = f"run `make update Q={path.stem}`."
    if not code:
        return ["the notebook has no code."]
    found = []
    for i, cell in code:
        try:
            cell_source(i, cell)
        except Problem as problem:
            found.append(str(problem))
    if kernel != "python3":
        found.append(f"the notebook asks for the kernel “{kernel}”: python3 is the one that everybody has.")
    if not any(c["outputs"] for _, c in code):
        found.append(f"the notebook has no outputs: {again}")
    elif [c["execution_count"] for _, c in code] != list(range(1, len(code) + 1)):
        found.append(f"the notebook was not run from top to bottom: {again}")
    for i, cell in code:
        found += [f"cell {i}: {p}" for p in _output_problems(cell)]
    prose = [(i, masked("".join(c["source"]))) for i, c in cells if c["cell_type"] == "markdown"]
    if sum(len(re.findall(r"^# ", text, re.MULTILINE)) for _, text in prose) != 1:
        found.append("the notebook must have one title, a Markdown cell that begins with `# `.")
    for i, text in prose if path.stem in known else []:
        found += [f"cell {i}: {sentence}" for _, sentence in _link_problems(root, path, text)]
    return found


def _output_problems(cell: dict) -> list[str]:
    found = []
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            found.append(f"it stores an error, {output['ename']}.")
        if output.get("name") == "stderr":
            found.append("it stores a warning on standard error.")
        data = output.get("data", {})
        for kind in data:
            if kind not in OUTPUTS:
                found.append(f"it stores {kind}, which the site does not show (only {', '.join(OUTPUTS)}).")
        script = notebook_pages.script_of("".join(data.get("image/svg+xml", "")))
        if script:
            found.append(f"its figure carries a script: `{script}`.")
        if any(kind.startswith("image/") for kind in data) and not figure_alt(cell):
            found.append("its figure has no alt text: begin the cell with `#| fig-alt: …`.")
        if len(data) == 1 and re.search(r"^<.*>$| at 0x", "".join(data.get("text/plain", "")), re.DOTALL):
            found.append("it ends with an object's own form: print what a reader should see.")
    return found


def _prose_problems(root: Path) -> list[str]:
    found, ran = [], _devices(root)
    for path in [*sorted((root / "docs").rglob("*.md")), root / "README.md"]:
        if not path.exists():
            continue
        whole = path.read_text(encoding="utf-8")
        text = masked(whole)
        said = _link_problems(root, path, text) + _device_problems(whole, ran)
        for rule, why in ((MARKETING, "is a word that we do without"), (EMOJI, "is an emoji")):
            said += [(match.start(), f"“{match[0]}” {why}.") for match in rule.finditer(text)]
        found += [f"{path.relative_to(root)}:{text.count(chr(10), 0, at) + 1}: {sentence}" for at, sentence in said]
    folders = {"docs": "*.yml", "snippets": "*.py", "tests/questions": "*.py"}
    for path in sorted(path for folder, pattern in folders.items() for path in (root / folder).glob(pattern)):
        text = path.read_text(encoding="utf-8")
        said = _device_problems(text, ran)
        found += [f"{path.relative_to(root)}:{text.count(chr(10), 0, at) + 1}: {sentence}" for at, sentence in said]
    return found + _devices_of_notebooks(root, ran)


def _devices_of_notebooks(root: Path, ran: str) -> list[str]:
    """As in prose, in what a notebook's author wrote; its outputs are a run's."""
    found = []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        with contextlib.suppress(ValueError, KeyError, TypeError):  # reported with the notebook
            for i, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], start=1):
                said = _device_problems("".join(cell["source"]), ran)
                found += [f"notebooks/{path.name}: cell {i}: {sentence}" for _, sentence in said]
    return found


def _device_problems(text: str, ran: str) -> list[tuple[int, str]]:
    """(place, sentence) of each device on which nothing ran, unless the sentence that names it cites its source."""
    found = []
    for sentence in re.finditer(r"(?:[^.!?\n]|[.!?](?!\s)|\n(?!\s*\n))+", text):
        for match in () if CITATION.search(sentence[0]) else DEVICE.finditer(sentence[0]):
            if match[0] not in ran:
                why = f"“{match[0]}” has no record: nothing is said of a device on which nothing ran."
                found.append((sentence.start() + match.start(), why))
    return found


def _devices(root: Path) -> str:
    """The devices of all records."""
    try:
        records = [evidence.load(root, runner) for runner in evidence.runners(root)]
    except Problem:
        return ""  # reported with the records
    return "; ".join(ran.get("device", "") for record in records for ran in evidence.environments(record))


def _link_problems(root: Path, path: Path, text: str) -> list[tuple[int, str]]:
    """(place, sentence) of each link to a file that is not there, and of each figure without alt text."""
    found = []
    for match in LINK.finditer(text):
        target = match["target"].partition("#")[0]
        if match["image"] and not match["text"].strip():
            found.append((match.start(), f"the figure {match['target']} has no alt text."))
        elif re.match(r"[a-z]+:|$", target):
            continue  # elsewhere, or on this page, where the site build looks
        elif target.startswith("/"):
            found.append((match.start(), f"the link {target} is absolute: write it relative to this file."))
        elif not _exists(root, path, target):
            found.append((match.start(), f"the link {target} leads nowhere."))
    for match in re.finditer(r"<img\b[^>]*>", text):
        if not re.search(r"""\balt=["'][^"']""", match[0]):
            found.append((match.start(), "a figure has no alt text."))
    return found


def _exists(root: Path, path: Path, target: str) -> bool:
    """Whether a link's target is there: a page, a file, or what the site makes of notebooks, snippets and proofs."""
    there = (path.parent / target).resolve()
    docs = root.resolve() / "docs"
    if there.is_file() or (path.parent == root and there.exists()):
        return True
    inside = there.relative_to(docs).as_posix() if docs in there.parents else ""
    if inside.startswith("proofs/"):
        return there.suffix == ".md" and there.stem in slugs(root)
    return inside.startswith(("notebooks/", "snippets/")) and (root / inside).is_file()


def references(root: Path) -> set[str]:
    """The keys of docs/references.bib."""
    path = root / "docs/references.bib"
    return (
        set(re.findall(r"^@\w+\{([^,\s]+),", path.read_text(encoding="utf-8"), re.MULTILINE))
        if path.exists()
        else set()
    )


def _bibliography_problems(root: Path, known: list[str]) -> list[str]:
    """What the page's list of references needs of each paper."""
    name, found, ended = "docs/references.bib", [], True
    if not (root / name).exists():
        return [f"{name}: the file does not exist."]
    fields: dict[str, set[str]] = {}  # of each paper
    lines: dict[str, int] = {}
    for i, line in enumerate((root / name).read_text(encoding="utf-8").splitlines(), start=1):
        head, field = (
            re.fullmatch(r"@(?:article|book|in\w+|misc)\{([\w-]+),", line),
            re.fullmatch(r"\s+(\w+)\s*=\s*\{(.*)\},", line),
        )
        if head and ended:
            if head[1] in fields:
                found.append(f"{name}:{i}: `{head[1]}` stands twice.")
            fields[head[1]], lines[head[1]] = set(), i
        elif field and fields and not ended and field[2].count("{") == field[2].count("}"):
            fields[[*fields][-1]].add(field[1])
        elif line not in ("", "}") or (line and ended):
            found.append(
                f"{name}:{i}: `@kind{{key,`, then lines `  field = {{value}},`, then `}}`, and this is not that."
            )
        ended = ended if not line else line == "}" and not head
    if not ended and not found:
        found.append(f"{name}:{i}: the last entry never ends: `}}` on a line of its own is missing.")
    for key, has in fields.items() if not found else ():
        lacks = [f for f in ("author", "title", "year", "url") if f not in has]
        if not has & {"journal", "booktitle", "publisher"}:
            lacks.append("journal, booktitle or publisher")
        found += [f"{name}:{lines[key]}: `{key}` has no {what}." for what in lacks]
    return found


def dead_links(built: Path) -> list[str]:
    """Links of a built site, within it, to a page or a place in a page that is not there.

    MkDocs sees those that Markdown writes, and not those in pages that the machinery makes."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(built.rglob("*.html"))}
    places = {path: set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) for path, text in pages.items()}
    found = {}
    for path, text in pages.items():
        for link in re.findall(r'<a\b[^>]*?\bhref="((?![a-z]+:|/)[^"]*)"', text):
            to, _, place = link.partition("#")
            target = Path(os.path.normpath(path.parent / to)) if to else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (place and place not in places.get(target, [place])):
                found[f"{path.relative_to(built).as_posix()}: nothing is at `{link}`, where a link leads."] = None
    return list(found)
