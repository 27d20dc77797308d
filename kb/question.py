"""Read a question: its page into a `Question`, its proof into claims, its rooms into files.

What cannot be read raises `Problem`: one sentence that begins with the file and, where there is one, the line.
"""

import ast
import functools
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOPICS = {  # the site's topics, in the order of the home page
    "basics": "What it is",
    "placement": "Where to put it",
    "rate": "How much of it",
    "training": "Training and inference",
    "model": "Changing a model",
    "evidence": "Does it help?",
    "convolution": "Convolutional networks",
    "transformer": "Transformers",
    "sequences": "Recurrent networks and embeddings",
    "masks": "Masks and seeds",
    "relatives": "Relatives of dropout",
    "beyond": "Beyond classification",
    "speed": "Speed and precision",
}

YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where there is one, tenfold as quick
PACKAGES = {"sklearn": "scikit-learn"}  # where a package is called otherwise than its module
KERAS = "keras>=3.13"  # in 3.12.0 the two networks of a comparison do not start alike
ITS_OWN = {  # versions for which a program prints what it says
    "rate": "keras>=3.14",  # before, Dropout(1) is an error on TensorFlow
    "export_tensorflow": "keras>=3.15,<3.16",  # before, LiteRT files take no `Path`
    # these show what Keras 3.16 will no longer do
    "is_it_active": "keras>=3.13,<3.16",
    "mc_dropout_wrong": "keras>=3.13,<3.16",
    "training_or_inference_wrong": "keras>=3.13,<3.16",
}
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}

PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")
MEASURED = re.compile(r"(?P<slug>[a-z0-9-]+)\.(?P<name>\w+)(?P<rest>(?:\.\w+)?(?::[^}]*)?)$")
TIMING = re.compile(r"timing\s+(?P<test>test_\w+)$")
FIGURE = re.compile(r"figure\s+(?P<number>[1-9]\d*)$")
# on a line of its own, and what stands right below it
CAPTIONED = re.compile(r"^\{\{\s*figure\s+(?P<number>[1-9]\d*)\s*\}\}(?P<caption>(?:\n.*\S.*)*)", re.MULTILINE)
PROOF = re.compile(r"proof\s+(?:(?P<slug>[a-z0-9-]+)\.)?(?P<test>test_\w+)$")
CITATION = re.compile(r"\[@(?P<key>[\w-]+)(?:,\s*(?P<place>[^\]]+))?\]")
FENCE = re.compile(r"^( *)(`{3,}|~{3,})[^\n]*\n.*?^\1\2`*[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?:(?!\1|\n\s*\n).)+?\1", re.DOTALL)
# what runs, in HTML and in SVG: no page and no figure carries it
SCRIPT = re.compile(
    r"""<(?:(?:\w+:)?script|!entity)\b|<[^>]*[\s/](?:on\w+|srcdoc)\s*=|<[^>]*=\s*["']?\s*javascript:""", re.IGNORECASE
)


class Problem(Exception):
    """One sentence that names file and place."""


@dataclass
class Claim:
    """A test function of a proof: the sentence is the first paragraph of its docstring.

    Its markers, read without running it: `only(*backends, why=…)`, `holds(*ranges, why=…)` for the versions in which it
    holds, `differs(*names, see=…)` for values that differ between runners, as another claim says, `gpu` for what is
    measured on a GPU and on nothing else, `cpu` for what is about a processor.
    """

    slug: str
    test: str
    sentence: str
    line: int
    only: tuple[str, ...] = ()
    only_why: str = ""
    holds: tuple[str, ...] = ()
    holds_why: str = ""
    differs: tuple[str, ...] = ()
    differs_see: str = ""
    device: str = ""  # gpu or cpu, if it is about one of them

    def is_about(self, runner: str, versions: dict[str, str]) -> bool:
        """Whether the claim is to hold on a runner, `<device>-<backend>`, which has these versions (see `locked`)."""
        device, _, backend = runner.rpartition("-")
        here = (not self.only or backend in self.only) and self.device in ("", "cpu" if device == "cpu" else "gpu")
        return here and (not self.holds or holds_in(self.holds, versions.get))


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
    text = text_of(path, path.parent.parent.parent)
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
        loader = YAML(text)
        node = loader.get_single_node()
        meta = loader.construct_document(node) if node else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, why = mark.line + 2 if mark else 1, getattr(error, "problem", None) or "a character that YAML forbids"
        if "\t" in text:
            line, why = line_of(text, "\t") + 1, "a tab, where YAML wants blanks"
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
    assigned = {
        n.targets[0].id: n.value
        for n in parse(path, root).body
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
    }
    everywhere = [assigned["pytestmark"]] if "pytestmark" in assigned else []
    for node in tests_of(path, root):
        sentence = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
        if not sentence:
            raise Problem(f"{name}:{node.lineno}: `{node.name}` has no docstring: a claim is one.")
        if node.name in [c.test for c in found]:
            raise Problem(f"{name}:{node.lineno}: `{node.name}` stands twice: one of them never runs.")
        decorators = [assigned.get(getattr(d, "id", ""), d) for d in (*node.decorator_list, *everywhere)]
        markers = _markers(name, decorators)
        found.append(Claim(slug, node.name, sentence, node.lineno, **markers))
    if not found:
        raise Problem(f"{name}: the proof has no claim: a claim is a function `test_…(claim)`.")
    return found


MARKERS = {"only": "why", "holds": "why", "differs": "see"}  # and the argument that each needs


def _markers(name: str, decorators: list[ast.expr]) -> dict:
    """The fields of a `Claim` that its markers say."""
    made = {}
    for node in (n for d in decorators for n in (d.elts if isinstance(d, ast.List) else [d])):
        if isinstance(node, ast.Attribute) and node.attr in ("gpu", "cpu"):
            made["device"] = node.attr
        kind = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
        if kind not in MARKERS:
            continue
        second = next((k.value for k in node.keywords if k.arg == MARKERS[kind]), None)
        texts = [getattr(a, "value", None) for a in (*node.args, second)]
        if len(texts) < 2 or not all(isinstance(text, str) and text for text in texts):
            raise Problem(f'{name}:{node.lineno}: write the marker as `{kind}("…", {MARKERS[kind]}="…")`.')
        made |= {kind: tuple(texts[:-1]), f"{kind}_{MARKERS[kind]}": texts[-1]}
    return made


def tests_of(path: Path, root: Path) -> list[ast.FunctionDef]:
    return [n for n in parse(path, root).body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]


def snippets(root: Path, slug: str) -> list[Path]:
    """The programs of a question: `<slug>.py` and its variants."""
    folder, name = root / "snippets", module(slug)
    if not folder.is_dir():
        return []
    fits = sorted(folder / f.name for f in os.scandir(folder) if f.name.startswith(name) and f.name.endswith(".py"))
    return [p for p in fits if owner(p, _longer(root, p, slug)) == slug]


def _longer(root: Path, path: Path, slug: str) -> list[str]:
    """The slug, and those that begin with it, that could own a snippet by its name."""
    words = slug_of(path).split("-")
    names = ["-".join(words[:i]) for i in range(1, len(words) + 1)]
    return [n for n in names if n.startswith(slug) and (root / f"docs/questions/{n}.md").exists()]


def keras_for(program: Path) -> str:
    """The versions of Keras with which a program prints what it says: `keras>=3.13`, or others."""
    return ITS_OWN.get(program.stem, KERAS)


def backend_of(path: Path | str) -> str | None:
    """The backend that a program is for, `torch` for `scope_torch.py`; None for a program for all."""
    name = str(path).rpartition("_")[2].removesuffix(".py")
    return name if name in BACKENDS else None


def imported_snippets(source: str | ast.Module, root: Path) -> set[Path]:
    """The files under `snippets/` that a piece of Python imports, those that they import included."""
    found: set[Path] = set()
    todo = [source if isinstance(source, ast.Module) else _tree(source)]
    while todo:
        for name in imports(todo.pop()):
            path = root / "snippets" / (name.removeprefix("snippets.") + ".py")
            if path not in found and path.is_file():
                found.add(path)
                todo.append(parse(path, root))
    return found


@functools.cache
def imports(tree: ast.Module) -> set[str]:
    """The modules that a program imports."""
    found, todo = set(), [tree]
    while todo:  # statements only: no expression imports
        node = todo.pop()
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        for inside in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, inside, ())
            todo += inner if isinstance(inner, list) else ()
    return found


def notebook_source(path: Path) -> str:
    """The code of a notebook as one Python text, without IPython's own commands. Raises `Problem` if it is none."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return "\n".join(cell_source(i, c) for i, c in enumerate(cells, start=1) if c["cell_type"] == "code")
    except Problem as problem:
        raise Problem(f"notebooks/{path.name}: {problem}") from None
    except (ValueError, KeyError, TypeError):
        raise Problem(f"notebooks/{path.name}: this is not a notebook.") from None


def cell_source(number: int, cell: dict) -> str:
    lines = "".join(cell["source"]).splitlines()
    source = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)
    try:
        _tree(source)
    except SyntaxError as error:
        raise Problem(f"cell {number}, line {error.lineno}: this is not valid Python: {error.msg}.") from None
    return source


def locks(runner: str) -> list[str]:
    """The lock files of a runner, `<device>-<backend>`: one for each backend, on a processor and on a GPU."""
    device, _, backend = runner.rpartition("-")
    if device == "cpu":
        names = {"tensorflow": ["test"], "torch": ["torch", "torch-itself"]}.get(backend, [backend])
    else:
        names = ["gpu" if backend == "tensorflow" else f"gpu-{backend}"]
    return [f"requirements/{name}.txt" for name in names]


def locked(root: Path, runner: str) -> dict[str, str]:
    """The version of each package in the lock files of a runner."""
    texts = [path.read_text(encoding="utf-8") for name in locks(runner) if (path := root / name).exists()]
    return dict(itertools.chain.from_iterable(map(_pinned, texts)))


@functools.cache
def _pinned(text: str) -> list[tuple[str, str]]:
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    return [(canonicalize_name(name), version) for name, version in found]


def holds_in(ranges: Iterable[str], version_of: Callable[[str], str | None]) -> bool:
    """Whether one of the ranges, such as `keras>=3.0,<3.16`, holds the version of its package."""
    for text in ranges:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            return True  # reported with the question
        version = version_of(canonicalize_name(wanted.name))
        if version and wanted.specifier.contains(Version(version).base_version):  # a nightly build is of the next
            return True
    return False


def rests_on(root: Path, slug: str, runner: str, own: set[Path] | None = None) -> list[Path]:
    """The files that a question's claims rest on with a runner: proof, snippets, notebook, all that they import, lock.

    Of the programs for one backend only, those for the runner's own, whoever imports them.
    """
    files = {*(own or own_files(root, slug)), *(root / name for name in locks(runner))}
    return sorted(path for path in files if backend_of(path) in (None, runner.rpartition("-")[2]))


def own_files(root: Path, slug: str) -> set[Path]:
    """A question's proof, snippets and notebook, and all that they import."""
    own = [root / f"tests/questions/test_{module(slug)}.py", *snippets(root, slug)]
    files = set(own).union(*(imported_snippets(parse(path, root), root) for path in own))
    notebook = root / f"notebooks/{slug}.ipynb"
    if notebook.exists():
        files |= {notebook} | imported_snippets(notebook_source(notebook), root)
    return files


def unreadable(root: Path) -> list[str]:
    """The files that are not plain text: UTF-8, without a byte order mark, with LF line ends."""
    folders = {"docs": "*.md", "docs/questions": "*.md", "snippets": "*.py", "tests/questions": "*.py"}
    folders |= {"notebooks": "*.ipynb", "evidence": "*.json", ".": "docs/references.bib"}
    found = []
    for path in sorted(p for folder, pattern in folders.items() for p in (root / folder).glob(pattern)):
        try:
            text_of(path, root)
        except Problem as problem:
            found.append(str(problem))
    return found


def rooms(slug: str) -> list[str]:
    """The files that every question has beside its page."""
    name = module(slug)
    return [f"snippets/{name}.py", f"snippets/{name}_wrong.py", f"tests/questions/test_{name}.py"]


def figure_alt(cell: dict) -> str:
    """The alt text of a cell's figure, from its `#| fig-alt:` line (Quarto's spelling)."""
    match = re.search(r"^#\| fig-alt:\s*(.+)$", "".join(cell["source"]), re.MULTILINE)
    return match[1].strip() if match else ""


def figure_tolerance(cell: dict) -> float | None:
    """How far, in points, the curves of a cell's figure may move, from its `#| fig-tolerance:` line, if it has one.

    A figure of what training gave needs one: rounding differs between processors, and training amplifies it.
    """
    match = re.search(r"^#\| fig-tolerance:\s*(\d+)\s*$", "".join(cell["source"]), re.MULTILINE)
    return float(match[1]) if match else None


def text_of(path: Path, root: Path) -> str:
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
        raise Problem(f"{name}:{line_of(text, chr(13))}: the line ends as on Windows: save the file with LF line ends.")
    return text


def rows(path: Path, root: Path) -> list:
    """What a YAML file in docs/ lists. Raises `Problem` if it is no list."""
    try:
        found = yaml.load(text_of(path, root), YAML)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise Problem(f"{path.relative_to(root)}{line}: this is not valid YAML: {clause(error)}.") from None
    if not isinstance(found, list):
        raise Problem(f"{path.relative_to(root)}: this must be a list of rows.")
    return found


def parse(path: Path, root: Path) -> ast.Module:
    text, name = text_of(path, root), path.relative_to(root)
    try:
        return _tree(text)
    except SyntaxError as error:
        raise Problem(f"{name}:{error.lineno or 1}: this is not valid Python: {error.msg}.") from None
    except ValueError:
        raise Problem(f"{name}: this is not valid Python: it holds a null byte.") from None


_tree = functools.cache(ast.parse)  # several checks look at the same file


def clause(error: object) -> str:
    """An error's message as the end of a sentence: its first line, without the full stop."""
    lines = str(error).strip().splitlines() or ["no message"]
    return lines[0].strip().rstrip(".:")


def enumeration(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`; nothing of nothing."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def line_of(text: str, needle: str) -> int:
    at = text.find(needle)
    return text.count("\n", 0, at) + 1 if at >= 0 else 1
