"""Read and validate a question: its page into a `Question`, its four rooms into a list of problems.

Nothing here runs a snippet, a claim or a notebook, and nothing imports Keras, so it is quick.
Every problem is one sentence that begins with the file and, where there is one, the line.
"""

import ast
import json
import re
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
OUTPUTS = ("text/plain", "text/markdown", "image/svg+xml", "image/png")

PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")
MEASURED = re.compile(r"(?P<slug>[a-z0-9-]+)\.(?P<name>\w+)(?P<rest>(?:\.\w+)?(?::[^}]*)?)$")
PROOF = re.compile(r"proof\s+(?:(?P<slug>[a-z0-9-]+)\.)?(?P<test>test_\w+)$")
CITATION = re.compile(r"\[@(?P<key>[\w-]+)(?:,\s*(?P<place>[^\]]+))?\]")
INCLUDE = re.compile(r'^\s*--8<--\s+"(?P<path>[^"]+)"', re.MULTILINE)
FENCE = re.compile(r"^( *)(`{3,}|~{3,})[^\n]*\n.*?^\1\2`*[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?:(?!\1).)+?\1", re.DOTALL)
MATH = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
# a decimal, a percentage or a number of points, typed by hand
TYPED = re.compile(r"(?<![\w.])[-+−]?\d+\.\d+|\b\d+(?:\.\d+)?\s*(?:%|per ?cent\b|points?\b)")
MARKETING = re.compile(r"\b(simply|just|obviously|easily|amazing|powerful|blazing\w*|seamless\w*)\b", re.IGNORECASE)
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u26ff]")


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
    text = path.read_text(encoding="utf-8")
    name = f"docs/questions/{path.name}"
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    if not match:
        raise Problem(f"{name}:1: the front matter is missing: the page must begin with `---`, fields, `---`.")
    try:
        meta = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        line = getattr(error, "problem_mark", None)
        raise Problem(f"{name}:{line.line + 2 if line else 1}: the front matter is not valid YAML.") from None
    if not isinstance(meta, dict):
        raise Problem(f"{name}:1: the front matter must be a list of `field: value` lines.")
    for key in meta:
        if key not in FRONT_MATTER:
            raise Problem(f"{name}:{_line(text, f'{key}:')}: unknown field `{key}` in the front matter.")
    for key in REQUIRED:
        if not meta.get(key):
            raise Problem(f"{name}:1: the front matter has no `{key}`.")
    for key, value in meta.items():
        kind = list if key in ("also_asked", "references", "related") else str
        items = value if kind is list and isinstance(value, list) else [value]
        if not isinstance(value, kind) or not all(isinstance(item, str) for item in items):
            wanted = "a list of texts" if kind is list else "a text"
            raise Problem(f"{name}:{_line(text, f'{key}:')}: `{key}` must be {wanted}.")
    body = text[match.end() :]
    meta["answer"] = " ".join(meta["answer"].split())
    return Question(**meta, slug=path.stem, body=body, first_line=text[: match.end()].count("\n") + 1)


def claims(root: Path, slug: str) -> list[Claim]:
    """The claims of a question, in the order of its proof. Raises `Problem` if a test has no sentence."""
    path = root / f"tests/questions/test_{module(slug)}.py"
    found = []
    for node in _parse(path, root).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            sentence = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            if not sentence:
                raise Problem(f"{path.relative_to(root)}:{node.lineno}: `{node.name}` has no docstring: a claim is one.")
            found.append(Claim(slug, node.name, sentence, node.lineno))
    return found


def snippets(root: Path, slug: str) -> list[Path]:
    """The programs of a question: `<slug>.py` and its variants."""
    known = slugs(root)
    return [p for p in sorted((root / "snippets").glob("*.py")) if owner(p, known) == slug]


def imported_snippets(source: str, root: Path) -> set[Path]:
    """The files under `snippets/` that a piece of Python imports, those that they import included."""
    found: set[Path] = set()
    todo = [source]
    while todo:
        for node in ast.walk(ast.parse(todo.pop())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                path = root / "snippets" / (name.removeprefix("snippets.") + ".py")
                if path.is_file() and path not in found:
                    found.add(path)
                    todo.append(path.read_text(encoding="utf-8"))
    return found


def notebook_source(path: Path) -> str:
    """The code of a notebook as one Python text, without IPython's own commands."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines = [line for c in cells if c["cell_type"] == "code" for line in "".join(c["source"]).splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def rests_on(root: Path, slug: str) -> list[Path]:
    """The files that the claims of a question rest on: proof, snippets, notebook, all that they import, the lock."""
    proof = root / f"tests/questions/test_{module(slug)}.py"
    notebook = root / f"notebooks/{slug}.ipynb"
    files = {proof, *snippets(root, slug), root / "requirements/test.txt"}
    for path in list(files):
        if path.suffix == ".py":
            files |= imported_snippets(path.read_text(encoding="utf-8"), root)
    if notebook.exists():
        files |= {notebook} | imported_snippets(notebook_source(notebook), root)
    return sorted(files)


def problems(root: Path) -> list[str]:
    """Everything that is wrong with pages, rooms and stored outputs and can be seen without running anything."""
    found: list[str] = []
    questions: dict[str, Question] = {}
    known = slugs(root)
    for slug in known:
        try:
            questions[slug] = read(root / f"docs/questions/{slug}.md")
        except Problem as problem:
            found.append(str(problem))
    for check in (_orphans, _snippet_problems, _notebook_problems):
        found += check(root, known)
    for slug, q in questions.items():
        found += _page_problems(root, q, known)
    found += _prose_problems(root)
    return found


def _orphans(root: Path, known: list[str]) -> list[str]:
    found = []
    for slug in known:
        for path in (f"snippets/{module(slug)}.py", f"snippets/{module(slug)}_wrong.py"):
            if not (root / path).exists():
                found.append(f"docs/questions/{slug}.md: the page has no {path}.")
        if not (root / f"tests/questions/test_{module(slug)}.py").exists():
            found.append(f"docs/questions/{slug}.md: the page has no proof, tests/questions/test_{module(slug)}.py.")
    for path in sorted((root / "tests/questions").glob("test_*.py")):
        if slug_of(path) not in known:
            found.append(f"tests/questions/{path.name}: the proof has no page, docs/questions/{slug_of(path)}.md.")
    for path in sorted((root / "snippets").glob("*.py")):
        if owner(path, known) is None:
            found.append(f"snippets/{path.name}: the snippet belongs to no page: none is called {slug_of(path)}.md.")
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        if path.stem not in known:
            found.append(f"notebooks/{path.name}: the notebook has no page, docs/questions/{path.stem}.md.")
    return found


def _page_problems(root: Path, q: Question, known: list[str]) -> list[str]:
    name, found = f"docs/questions/{q.slug}.md", []
    text = (root / name).read_text(encoding="utf-8")

    def say(needle: str, sentence: str) -> None:
        found.append(f"{name}:{_line(text, needle)}: {sentence}")

    sentences = [s for s in re.split(r"(?<=[.!?])\s+", CODE.sub("x", q.answer)) if s]
    if len(sentences) > 2:
        say("answer:", f"the answer has {len(sentences)} sentences: two at most.")
    if q.level not in LEVELS:
        say("level:", f"unknown level `{q.level}`: one of {', '.join(LEVELS)}.")
    if q.topic not in TOPICS:
        say("topic:", f"unknown topic `{q.topic}`: one of {', '.join(TOPICS)}.")
    papers = references(root)
    for key in q.references:
        if key not in papers:
            say(key, f"unknown reference `{key}`: not in docs/references.bib.")
    for slug in q.related:
        if slug not in known:
            say(f"- {slug}" if f"- {slug}" in text else slug, f"unknown related question `{slug}`.")

    headings = re.findall(r"^## (.+)$", FENCE.sub("", q.body), re.MULTILINE)
    if [h for h in headings if h in SECTIONS] != list(SECTIONS):
        say("## ", f"the sections must be, in this order: {'; '.join(SECTIONS)}.")
    shown = [m["path"].split(":")[0] for m in INCLUDE.finditer(q.body)]
    for path in shown:
        if not (root / path).is_file():
            say(path, f"includes {path}, which does not exist.")
    for path in snippets(root, q.slug):
        if f"snippets/{path.name}" not in shown:
            found.append(f"{name}: the page does not show snippets/{path.name}.")

    bare = MATH.sub("", CODE.sub("`x`", FENCE.sub("", q.body)))
    for match in CITATION.finditer(bare):
        if match["key"] not in q.references:
            say(f"@{match['key']}", f"cites `{match['key']}`, which is not under `references`.")
    for key in q.references:
        if key in papers and f"@{key}" not in bare + q.answer:
            say(key, f"the reference `{key}` is cited nowhere on the page.")
    for match in PLACEHOLDER.finditer(bare):
        found += _placeholder_problems(root, q, match[1], f"{name}:{_line(text, match[0])}", known)
    for block in re.split(r"\n\s*\n", bare):
        typed = TYPED.search(PLACEHOLDER.sub("", CITATION.sub("", re.sub(r"\]\([^)]*\)", "]", block))))
        if typed and not CITATION.search(block):
            near = typed[0].strip()
            say(near, f"“{near}” is typed by hand: use a measured number, cite its source, or mark a setting as code.")
    for block in re.findall(r"(?:^> .*\n?)+\n*(.*)", bare.partition("## Commonly said, and wrong")[2], re.MULTILINE):
        if "{{ proof" not in block:
            say(block or "## Commonly said", "a quoted mistake must be followed by its `{{ proof test_… }}`.")
    return found


def _placeholder_problems(root: Path, q: Question, text: str, place: str, known: list[str]) -> list[str]:
    from kb import evidence

    proof, measured = PROOF.match(text), MEASURED.match(text)
    if proof:
        slug = proof["slug"] or q.slug
        try:
            tests = [c.test for c in claims(root, slug)]
        except (Problem, OSError):
            tests = []
        return [] if proof["test"] in tests else [f"{place}: there is no claim `{slug}.{proof['test']}`."]
    if not measured:
        return [f"{place}: `{{{{ {text} }}}}` is neither a measured number nor a proof."]
    try:
        evidence.fill(text, evidence.values(root))
    except Problem as problem:
        return [f"{place}: {problem}"]
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
        if "#>" not in source:
            found.append(f"{name}: the program's output is not written beside its prints (`#>`).")
        code = [line for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]
        if len(code) > 40:
            found.append(f"{name}: {len(code)} lines of code: 40 at most, so that a reader can copy it.")
    return found


def _notebook_problems(root: Path, known: list[str]) -> list[str]:
    found = []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        name = f"notebooks/{path.name}"
        try:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        except (json.JSONDecodeError, KeyError, TypeError):
            found.append(f"{name}: this is not a notebook.")
            continue
        code = [(i, c) for i, c in enumerate(cells, start=1) if c["cell_type"] == "code" and "".join(c["source"])]
        if not any(c["outputs"] for _, c in code):
            found.append(f"{name}: the notebook has no outputs: run `make update Q={path.stem}`.")
        if [c["execution_count"] for _, c in code] != list(range(1, len(code) + 1)):
            found.append(f"{name}: the notebook was not run from top to bottom: run `make update Q={path.stem}`.")
        for i, cell in code:
            found += [f"{name}: cell {i}: {p}" for p in _output_problems(cell)]
        if sum(c["cell_type"] == "markdown" and "".join(c["source"]).startswith("# ") for c in cells) != 1:
            found.append(f"{name}: the notebook must have one title, a Markdown cell that begins with `# `.")
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
        if " at 0x" in "".join(data.get("text/plain", "")):
            found.append("it ends with an object's address.")
    return found


def figure_alt(cell: dict) -> str:
    """The alt text of a cell's figure, from its `#| fig-alt:` line (Quarto's spelling)."""
    match = re.search(r"^#\| fig-alt:\s*(.+)$", "".join(cell["source"]), re.MULTILINE)
    return match[1].strip() if match else ""


def _prose_problems(root: Path) -> list[str]:
    found = []
    texts = [p for p in sorted((root / "docs").rglob("*.md"))] + [root / "README.md"]
    for path in texts:
        if not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        prose = CODE.sub("`x`", FENCE.sub("", text))
        for rule, why in ((MARKETING, "is a word that we do without"), (EMOJI, "is an emoji")):
            for match in rule.finditer(prose):
                found.append(f"{path.relative_to(root)}:{_line(text, match[0])}: “{match[0]}” {why}.")
        # on question pages an image is checked here, on notebook pages where it is drawn
        for match in re.finditer(r"!\[\s*\]\(([^)]*)\)", prose):
            found.append(f"{path.relative_to(root)}:{_line(text, match[0])}: the figure {match[1]} has no alt text.")
    return found


def references(root: Path) -> set[str]:
    """The keys of docs/references.bib."""
    path = root / "docs/references.bib"
    return set(re.findall(r"^@\w+\{([^,\s]+),", path.read_text(encoding="utf-8"), re.MULTILINE)) if path.exists() else set()


def _parse(path: Path, root: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path.relative_to(root)}: the file does not exist.") from None
    except SyntaxError as error:
        raise Problem(f"{path.relative_to(root)}:{error.lineno}: this is not valid Python: {error.msg}.") from None


def _line(text: str, needle: str) -> int:
    at = text.find(needle)
    return text.count("\n", 0, at) + 1 if at >= 0 else 1
