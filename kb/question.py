"""Read and validate a question: its page into a `Question`, its four rooms into a list of problems.

Nothing here runs a snippet, a claim or a notebook, and nothing imports Keras, so it is quick.
Every problem is one sentence that begins with the file and, where there is one, the line.
"""

import ast
import itertools
import json
import keyword
import re
import string
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

LEVELS = ("start", "practice", "research")
TOPICS = {  # the site's topics, in the order of the home page
    "placement": "Where to put it",
    "rate": "How much of it",
    "training": "Training and inference",
    "evidence": "Does it help?",
    "convolution": "Convolutional networks",
    "transformer": "Transformers",
}
SECTIONS = ("The code", "Why", "When it does not hold", "Commonly said, and wrong")
LONGEST = 45  # lines of code of a snippet, without comments and docstrings
OUTPUTS = ("text/plain", "text/markdown", "image/svg+xml", "image/png")

PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")
MEASURED = re.compile(r"(?P<slug>[a-z0-9-]+)\.(?P<name>\w+)(?P<rest>(?:\.\w+)?(?::[^}]*)?)$")
PROOF = re.compile(r"proof\s+(?:(?P<slug>[a-z0-9-]+)\.)?(?P<test>test_\w+)$")
CITATION = re.compile(r"\[@(?P<key>[\w-]+)(?:,\s*(?P<place>[^\]]+))?\]")
INCLUDE = re.compile(r'^\s*--8<--\s+"(?P<path>[^"]+)"', re.MULTILINE)
FENCE = re.compile(r"^( *)(`{3,}|~{3,})[^\n]*\n.*?^\1\2`*[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?:(?!\1|\n\s*\n).)+?\1", re.DOTALL)
MATH = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
# a decimal, a percentage or a number of points, typed by hand
TYPED = re.compile(r"(?<![\w.])[-+−]?\d+\.\d+|\b\d+(?:\.\d+)?\s*(?:%|per ?cent\b|points?\b)")
MARKETING = re.compile(r"\b(simply|just|obviously|easily|amazing|powerful|blazing\w*|seamless\w*)\b", re.IGNORECASE)
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u26ff]")
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]*)[^)]*\)")
ABBREVIATION = re.compile(r"\b(et al|e\.g|i\.e|vs|cf|approx)\.")


class Problem(Exception):
    """One sentence that names file and place."""


@dataclass
class Claim:
    """A test function of a proof: the sentence is the first paragraph of its docstring."""

    slug: str
    test: str
    sentence: str
    line: int


@dataclass
class Question:
    """A question page: its front matter, field by field, and its body."""

    question: str
    answer: str
    level: str
    topic: str
    also_asked: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    related: list[str] = field(default_factory=list)
    slug: str = ""
    body: str = ""
    first_line: int = 0  # of the body, in the file


FRONT_MATTER = [f.name for f in fields(Question)][:7]
REQUIRED = ("question", "answer", "level", "topic", "also_asked")


def module(slug: str) -> str:
    """The Python spelling of a slug: `every-layer` is `every_layer`."""
    return slug.replace("-", "_")


def slug_of(path: Path) -> str:
    """The slug that a file of any room belongs to by its name (a variant's slug is found by `owner`)."""
    return re.sub(r"^test_", "", path.stem).replace("_", "-")


def slugs(root: Path) -> list[str]:
    """All slugs that have a page."""
    return sorted(p.stem for p in (root / "docs/questions").glob("*.md") if p.stem != "index")


def owner(path: Path, known: list[str]) -> str | None:
    """The slug of a snippet, variants included: `rate_search.py` belongs to `rate`."""
    name = slug_of(path)
    fits = [s for s in known if name == s or name.startswith(s + "-")]
    return max(fits, key=len) if fits else None


def read(path: Path) -> Question:
    """Read one page. Raises `Problem` if its front matter is missing, malformed or incomplete."""
    name = f"docs/questions/{path.name}"
    text = _text(path, path.parent.parent.parent)
    match = re.match(r"---[ \t]*\n(.*?\n)?---[ \t]*(\n|$)", text, re.DOTALL)
    if not match:
        raise Problem(f"{name}:1: the front matter is missing: the page must begin with `---`, fields, `---`.")
    meta, lines = _front_matter(name, match[1] or "")
    for key in REQUIRED:
        if key not in meta:
            raise Problem(f"{name}:1: the front matter has no `{key}`.")
    for key, value in meta.items():
        kind = list if key in ("also_asked", "references", "related") else str
        items = value if kind is list and isinstance(value, list) else [value]
        if key in REQUIRED and (value is None or value == [] or not str(value).strip()):
            raise Problem(f"{name}:{lines[key]}: `{key}` is empty.")
        if not isinstance(value, kind) or not all(isinstance(item, str) and item.strip() for item in items):
            wanted = "a list of texts" if kind is list else "a text"
            raise Problem(f"{name}:{lines[key]}: `{key}` must be {wanted}.")
        if len(set(items)) < len(items):
            raise Problem(f"{name}:{lines[key]}: `{key}` says the same thing twice.")
    body = text[match.end() :]
    meta["answer"] = " ".join(meta["answer"].split())
    return Question(**meta, slug=path.stem, body=body, first_line=text[: match.end()].count("\n") + 1)


def _front_matter(name: str, text: str) -> tuple[dict, dict[str, int]]:
    """The fields and the lines on which they stand."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        meta = loader.construct_document(node) if node else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, why = mark.line + 2 if mark else 1, getattr(error, "problem", None) or "a character that YAML forbids"
        if "\t" in text:
            line, why = _line(text, "\t") + 1, "a tab, where YAML wants blanks"
        elif why.startswith("mapping values"):
            why = "a text with a colon in it needs quotes"
        raise Problem(f"{name}:{line}: the front matter is not valid YAML: {why}.") from None
    if not isinstance(meta, dict):
        raise Problem(f"{name}:1: the front matter must be a list of `field: value` lines.")
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 2
        if key.value not in FRONT_MATTER:
            raise Problem(f"{name}:{line}: unknown field `{key.value}` in the front matter.")
        if key.value in lines:
            raise Problem(f"{name}:{line}: the field `{key.value}` stands twice in the front matter.")
        lines[key.value] = line
    return meta, lines


def claims(root: Path, slug: str) -> list[Claim]:
    """The claims of a question, in the order of its proof. Raises `Problem` if a test has no sentence."""
    name = f"tests/questions/test_{module(slug)}.py"
    path = root / name
    found: list[Claim] = []
    for node in _tests(path, root):
        sentence = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
        if not sentence:
            raise Problem(f"{name}:{node.lineno}: `{node.name}` has no docstring: a claim is one.")
        if node.name in [c.test for c in found]:
            raise Problem(f"{name}:{node.lineno}: `{node.name}` stands twice: one of them never runs.")
        found.append(Claim(slug, node.name, sentence, node.lineno))
    if not found:
        raise Problem(f"{name}: the proof has no claim: a claim is a function `test_…(claim)`.")
    return found


def _tests(path: Path, root: Path) -> list[ast.FunctionDef]:
    return [n for n in _parse(path, root).body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]


def snippets(root: Path, slug: str) -> list[Path]:
    """The programs of a question: `<slug>.py` and its variants."""
    known = slugs(root)
    return [p for p in sorted((root / "snippets").glob("*.py")) if owner(p, known) == slug]


def imported_snippets(source: str | ast.Module, root: Path) -> set[Path]:
    """The files under `snippets/` that a piece of Python imports, those that they import included."""
    found: set[Path] = set()
    todo = [source if isinstance(source, ast.Module) else ast.parse(source)]
    while todo:
        for node in ast.walk(todo.pop()):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                path = root / "snippets" / (name.removeprefix("snippets.") + ".py")
                if path.is_file() and path not in found:
                    found.add(path)
                    todo.append(_parse(path, root))
    return found


def notebook_source(path: Path) -> str:
    """The code of a notebook as one Python text, without IPython's own commands. Raises `Problem` if it is none."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return "\n".join(_cell_source(i, c) for i, c in enumerate(cells, start=1) if c["cell_type"] == "code")
    except Problem as problem:
        raise Problem(f"notebooks/{path.name}: {problem}") from None
    except (ValueError, KeyError, TypeError):
        raise Problem(f"notebooks/{path.name}: this is not a notebook.") from None


def _cell_source(number: int, cell: dict) -> str:
    lines = "".join(cell["source"]).splitlines()
    source = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)
    try:
        ast.parse(source)
    except SyntaxError as error:
        raise Problem(f"cell {number}, line {error.lineno}: this is not valid Python: {error.msg}.") from None
    return source


def rests_on(root: Path, slug: str) -> list[Path]:
    """The files that the claims of a question rest on: proof, snippets, notebook, all that they import, the lock."""
    proof = root / f"tests/questions/test_{module(slug)}.py"
    notebook = root / f"notebooks/{slug}.ipynb"
    files = {proof, *snippets(root, slug), root / "requirements/test.txt"}
    for path in list(files):
        if path.suffix == ".py":
            files |= imported_snippets(_parse(path, root), root)
    if notebook.exists():
        files |= {notebook} | imported_snippets(notebook_source(notebook), root)
    return sorted(files)


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
    for q in questions.values():
        found += _page_problems(root, q, known)
    found += _prose_problems(root)
    return found


def unreadable(root: Path) -> list[str]:
    """The files that are not plain text: UTF-8, without a byte order mark, with LF line ends."""
    folders = {"docs": "*.md", "docs/questions": "*.md", "snippets": "*.py", "tests/questions": "*.py"}
    folders |= {"notebooks": "*.ipynb", "evidence": "*.json", ".": "docs/references.bib"}
    found = []
    for path in sorted(p for folder, pattern in folders.items() for p in (root / folder).glob(pattern)):
        try:
            _text(path, root)
        except Problem as problem:
            found.append(str(problem))
    return found


def rooms(slug: str) -> list[str]:
    """The files that every question has beside its page."""
    name = module(slug)
    return [f"snippets/{name}.py", f"snippets/{name}_wrong.py", f"tests/questions/test_{name}.py"]


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
            sentences = {c.test: c.sentence for c in claims(root, slug)}
        except Problem as problem:
            found.append(str(problem))
            continue
        for test in _tests(path, root):
            problem = _claim_problem(test, sentences[test.name])
            found += [f"{name}:{test.lineno}: `{test.name}` {problem}"] if problem else []
        for node in ast.walk(_parse(path, root)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "program" and node.args:
                wanted = getattr(node.args[0], "value", None)
                if isinstance(wanted, str) and not (root / f"snippets/{wanted}.py").exists():
                    found.append(f"{name}:{node.lineno}: runs snippets/{wanted}.py, which does not exist.")
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


def _page_problems(root: Path, q: Question, known: list[str]) -> list[str]:
    name, found = f"docs/questions/{q.slug}.md", []
    text = (root / name).read_text(encoding="utf-8")
    begin = len(text) - len(q.body)

    def say(where: int | str, sentence: str) -> None:
        at = where if isinstance(where, int) else re.search(rf"^{where}", text, re.MULTILINE).start()
        found.append(f"{name}:{text.count(chr(10), 0, at) + 1}: {sentence}")

    sentences = ABBREVIATION.sub("x", CODE.sub("x", q.answer))
    count = len([s for s in re.split(r"(?<=[.!?…])[\"”’)*_]*\s+", sentences) if s])
    if count > 2:
        say("answer:", f"the answer has {count} sentences: two at most.")
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
    found += _heading_problems(name, prose, begin)
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
        for sentence in _placeholder_problems(root, q, match[1], known):
            say(match.start(), sentence)
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


def _heading_problems(name: str, prose: str, begin: int) -> list[str]:
    """A page's title is its question; its sections are the given ones, in their order."""
    found = []
    headings = [(m[1], m[2].strip(), m.start()) for m in re.finditer(r"^(#+)[ \t]+(.*)$", prose, re.MULTILINE)]
    headings = [(len(marks), title, prose.count("\n", 0, at) + 1) for marks, title, at in headings if at >= begin]
    for level, title, line in headings:
        if level == 1:
            found.append(f"{name}:{line}: a second title, “{title}”: the page's title is its question.")
    for (above, _, _), (level, title, line) in itertools.pairwise(headings):
        if level > above + 1:
            found.append(f"{name}:{line}: the heading “{title}” skips a level: {'#' * (above + 1)} comes next.")
    sections = [(title, line) for level, title, line in headings if level == 2]
    wrong = [x for x, wanted in zip(sections, SECTIONS, strict=False) if x[0] != wanted] + sections[len(SECTIONS) :]
    if wrong or len(sections) < len(SECTIONS):
        line = wrong[0][1] if wrong else prose.count("\n", 0, begin) + 1
        found.append(f"{name}:{line}: the sections must be, in this order and no others: {'; '.join(SECTIONS)}.")
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


def _placeholder_problems(root: Path, q: Question, text: str, known: list[str]) -> list[str]:
    from kb import evidence

    proof, measured = PROOF.match(text), MEASURED.match(text)
    if proof:
        slug = proof["slug"] or q.slug
        try:
            tests = [c.test for c in claims(root, slug)]
        except Problem:
            if slug in known:
                return []  # reported with the proof
            tests = []
        return [] if proof["test"] in tests else [f"there is no claim `{slug}.{proof['test']}`."]
    if not measured:
        return [f"`{{{{ {text} }}}}` is neither a measured number nor a proof."]
    try:
        values, record = evidence.values(root), evidence.load(root)["claims"]
    except Problem:
        return []  # reported with the record
    tests = [t for t, i in record.get(measured["slug"], {}).items() if measured["name"] in i["values"]]
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
            tree = _parse(path, root)
        except Problem as problem:
            found.append(str(problem))
            continue
        if not ast.get_docstring(tree):
            found.append(f"{name}:1: the first line must say what the program shows.")
        elif "#>" not in source:
            found.append(f"{name}: the program's output is not written beside its prints (`#>`).")
        if _lines_of_code(source, tree) > LONGEST:
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
            _cell_source(i, cell)
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
        if any(kind.startswith("image/") for kind in data) and not figure_alt(cell):
            found.append("its figure has no alt text: begin the cell with `#| fig-alt: …`.")
        if len(data) == 1 and re.search(r"^<.*>$| at 0x", "".join(data.get("text/plain", "")), re.DOTALL):
            found.append("it ends with an object's own form: print what a reader should see.")
    return found


def figure_alt(cell: dict) -> str:
    """The alt text of a cell's figure, from its `#| fig-alt:` line (Quarto's spelling)."""
    match = re.search(r"^#\| fig-alt:\s*(.+)$", "".join(cell["source"]), re.MULTILINE)
    return match[1].strip() if match else ""


def _prose_problems(root: Path) -> list[str]:
    found = []
    for path in [*sorted((root / "docs").rglob("*.md")), root / "README.md"]:
        if not path.exists():
            continue
        text = masked(path.read_text(encoding="utf-8"))
        said = _link_problems(root, path, text)
        for rule, why in ((MARKETING, "is a word that we do without"), (EMOJI, "is an emoji")):
            said += [(match.start(), f"“{match[0]}” {why}.") for match in rule.finditer(text)]
        found += [f"{path.relative_to(root)}:{text.count(chr(10), 0, at) + 1}: {sentence}" for at, sentence in said]
    return found


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
    name, found, seen = "docs/references.bib", [], set()
    if not (root / name).exists():
        return [f"{name}: the file does not exist."]
    text = (root / name).read_text(encoding="utf-8")
    for match in re.finditer(r"^@\w+\{([^,\s]+),(.*?)(?=^@|\Z)", text, re.MULTILINE | re.DOTALL):
        place = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
        if match[1] in seen:
            found.append(f"{place}: `{match[1]}` stands twice.")
        seen.add(match[1])
        if match[0].count("{") != match[0].count("}"):
            found.append(f"{place}: the braces of `{match[1]}` do not match.")
            continue
        for key in ("author", "title", "year", "url"):
            if not re.search(rf"^\s*{key}\s*=", match[2], re.MULTILINE):
                found.append(f"{place}: `{match[1]}` has no {key}.")
    return found


def _text(path: Path, root: Path) -> str:
    """A file as text. Raises `Problem` if it is missing or not plain UTF-8."""
    name = path.relative_to(root)
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except FileNotFoundError:
        raise Problem(f"{name}: the file does not exist.") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Problem(f"{name}:{line}: this is not UTF-8 text.") from None
    if text.startswith("\ufeff"):
        raise Problem(f"{name}:1: the file begins with a byte order mark: save it as UTF-8 without one.")
    conflict = re.search(r"^<{7} ", text, re.MULTILINE)
    if conflict:
        raise Problem(f"{name}:{text.count(chr(10), 0, conflict.start()) + 1}: a merge conflict is left here.")
    if "\r" in text:
        raise Problem(f"{name}:{_line(text, chr(13))}: the line ends as on Windows: save the file with LF line ends.")
    return text


def _parse(path: Path, root: Path) -> ast.Module:
    text, name = _text(path, root), path.relative_to(root)
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise Problem(f"{name}:{error.lineno}: this is not valid Python: {error.msg}.") from None
    except ValueError:
        raise Problem(f"{name}: this is not valid Python: it holds a null byte.") from None


def clause(error: object) -> str:
    """An error's message as the end of a sentence: its first line, without the full stop."""
    lines = str(error).strip().splitlines() or ["no message"]
    return lines[0].strip().rstrip(".:")


def _line(text: str, needle: str) -> int:
    at = text.find(needle)
    return text.count("\n", 0, at) + 1 if at >= 0 else 1
