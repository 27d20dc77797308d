"""The MkDocs hooks: assemble question pages, bring notebooks and proofs in, fill in measured numbers, render formulas.

Content depends on the generator through this file alone. Whatever a page names and the project does not have stops
the build with one sentence.
"""

import base64
import hashlib
import html
import json
import re
import socket
from pathlib import Path

import latex2mathml.converter
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File
from pybtex.database import parse_file
from pybtex.richtext import Text

from kb import evidence
from kb import question as rooms
from kb.question import Problem, module

ROOT = Path(__file__).parent.parent
WATCH = ("snippets", "notebooks", "tests/questions", "evidence", "theme", "kb")
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


class State:
    """What one build knows: read once, in `on_files`."""

    def __init__(self, root: Path):
        self.questions = {slug: rooms.read(root / f"docs/questions/{slug}.md") for slug in rooms.slugs(root)}
        self.claims = {slug: rooms.claims(root, slug) for slug in self.questions}
        self.records = {runner: evidence.load(root, runner) for runner in evidence.runners(root)}
        self.hashes = {(s, study): evidence.hashes(root, s, study) for s in self.questions for study in (False, True)}
        self.values = evidence.values(root)
        self.papers = {p.key: p for p in parse_file(root / "docs/references.bib").entries.values()}
        self.notebooks = sorted(p.stem for p in (root / "notebooks").glob("*.ipynb"))


state: State


def on_startup(command, dirty):
    on_config.serving = command == "serve"


def on_config(config):
    """Watch all rooms; say it plainly if the port is taken."""
    config.watch += [str(ROOT / name) for name in WATCH]
    if getattr(on_config, "serving", False):
        on_config.serving = False  # only before the first build: later ones find our own server
        host, port = config.dev_addr
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                raise PluginError(f"port {port} is in use: try another one, `make serve PORT={port + 1}`.") from None
    return config


@event_priority(100)  # before mkdocs-jupyter's own turn, so that it finds the notebooks
def on_files(files, config):
    """Bring notebooks, proofs, programs and figures into the site."""
    global state
    try:
        state = State(ROOT)
    except Problem as problem:
        raise PluginError(str(problem)) from None
    for slug in state.notebooks:
        files.append(_repository_file(f"notebooks/{slug}.ipynb", config))
        files.append(File.generated(config, f"notebooks/{slug}/{slug}.ipynb", content=_download(slug)))
        for name, content in _figures(slug, config).items():
            files.append(File.generated(config, f"notebooks/{slug}/{name}", content=content))
    for slug, q in state.questions.items():
        files.append(File.generated(config, f"proofs/{slug}.md", content=_proof_page(q)))
        for path in rooms.snippets(ROOT, slug):
            files.append(_repository_file(f"snippets/{path.name}", config))
    return files


@event_priority(-100)  # after mkdocs-jupyter has put its own renderer on the page
def on_pre_page(page, config, files):
    """Let notebook pages be rendered like every other page."""
    if page.file.src_uri.endswith(".ipynb"):
        page.__dict__.pop("render", None)
    return page


def on_page_markdown(markdown, page, config, files):
    """Turn a notebook into Markdown, assemble a question page, fill in what is generated."""
    folder, _, name = page.file.src_uri.rpartition("/")
    slug = name.rpartition(".")[0]
    try:
        if folder == "notebooks":
            markdown, page.meta = _notebook_page(slug, config), {"hide": ["navigation"]}
        elif folder == "questions" and slug in state.questions:
            q = state.questions[slug]
            page.meta |= {"title": q.question, "description": _plain(q.answer), "hide": ["navigation"]}
            markdown = _question_page(q)
        elif folder == "proofs":
            page.meta["search"] = {"exclude": True}
            return markdown
        return _fill(markdown, slug, "../" * page.file.src_uri.count("/"))
    except Problem as problem:
        raise PluginError(f"{page.file.src_uri}: {problem}") from None


def on_page_content(html_text, page, config, files):
    """Render formulas as MathML, which needs no script; insist on alt text."""
    html_text = re.sub(r'<(span|div) class="arithmatex">(.*?)</\1>', _mathml, html_text, flags=re.DOTALL)
    for image in re.findall(r"<img\b[^>]*>", html_text):
        if not re.search(r'\balt="[^"]', image):
            raise PluginError(f"{page.file.src_uri}: a figure has no alt text: {image[:80]}")
    # a wide table scrolls inside itself, and a keyboard can scroll it
    return html_text.replace("<table>", '<div class="table" tabindex="0"><table>').replace("</table>", "</table></div>")


# ------------------------------------------------------------------------------------- question pages


def _question_page(q: rooms.Question) -> str:
    parts = [f"# {q.question}", f'<div class="answer" markdown>\n\n{q.answer}\n\n</div>', _verdict(q.slug), q.body]
    parts += ["## How we know { #how-we-know }", _how_we_know(q.slug)]
    parts += ["## Also asked", "\n".join(f"- {text}" for text in q.also_asked)]
    if q.references:
        parts += ["## References", "\n".join(f"- {_reference(key)}" for key in q.references)]
    if q.related:
        links = [f"- [{state.questions[s].question}]({s}.md)" for s in q.related if s in state.questions]
        parts += ["## Related questions", "\n".join(links)]
    return "\n\n".join(parts) + "\n"


def _verdict(slug: str) -> str:
    """One line below the answer: how many claims, where they passed, when."""
    items = [_status(evidence.DEFAULT, slug, claim.test) for claim in state.claims[slug]]
    count, fresh = len(items), sum(kind == "verified" for kind, _ in items)
    if fresh < count:
        text = f"{fresh} of {count} claims verified since their last change"
    else:
        dates = [item["date"] for _, item in items]
        text = f"{count} claims verified on {_runner(evidence.DEFAULT)}, {max(dates)}"
    mark = "verified" if fresh == count else "stale"
    return f'<p class="verdict {mark}" markdown>[{text}](#how-we-know)</p>'


def _how_we_know(slug: str) -> str:
    notebook = f" [The notebook](../notebooks/{slug}.ipynb) shows it step by step." if slug in state.notebooks else ""
    parts = [f"Each sentence is [a test](../proofs/{slug}.md) that ran where its line says.{notebook}"]
    for claim in state.claims[slug]:
        _, item = _status(evidence.DEFAULT, slug, claim.test)
        text = item["sentence"] if item else claim.sentence
        lines = [f'<div class="claim" id="{claim.test}" markdown>', "", text, ""]
        for runner in state.records:
            kind, found = _status(runner, slug, claim.test)
            words = {
                "verified": f"Verified on {_runner(runner)}, {found.get('date')}",
                "stale": f"Verified on {_runner(runner)}, {found.get('date')}, before the last change",
                "failed": f"Does not hold on {_runner(runner)}, {found.get('date')}",
                "none": f"Not verified yet on {_runner(runner)}",
            }[kind]
            anchor = f"../proofs/{slug}.md#__codelineno-0-{claim.line}"
            lines.append(f'<span class="mark {kind}">{words}</span> · [the test]({anchor}){{ .test }}\n')
        lines += [_measured_table(item), "</div>", ""]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _status(runner: str, slug: str, test: str) -> tuple[str, dict]:
    """verified, stale, failed or none, and the record's entry."""
    item = state.records.get(runner, {}).get("claims", {}).get(slug, {}).get(test)
    if not item:
        return "none", {}
    if item["outcome"] != "passed":
        return "failed", item
    return ("verified" if item["files"] == state.hashes[slug, item.get("study", False)] else "stale"), item


def _runner(name: str) -> str:
    env = state.records.get(name, {}).get("environment", {})
    backend = env.get("backend", name.rpartition("-")[2])
    versions = f"{BACKENDS[backend]} {env.get(backend, '')}".strip()
    device = "CPU" if name.startswith("cpu-") else env.get("device", name)
    return f"{device}, {versions}" + (f", Keras {env['keras']}" if "keras" in env else "")


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
    return f"95 % interval {_cell(value.low)} to {_cell(value.high)}, {value.n} paired replicas"


def _cell(value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    return f"`{value}`" if isinstance(value, str) else str(value)


def _reference(key: str) -> str:
    paper = state.papers[key]
    names = [" ".join(p.prelast_names + p.last_names) for p in paper.persons["author"]]
    who = names[0] if len(names) == 1 else f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} et al."
    f = {k: str(Text.from_latex(v)) for k, v in paper.fields.items() if k != "url"}
    where = f.get("journal") or f.get("booktitle") or f.get("publisher", "")
    if "volume" in f:
        where += f" {f['volume']}"
    url = paper.fields["url"]
    return f'<span id="ref-{key}">{who} ({f["year"]}).</span> [{f["title"]}]({url}). {where}.'


# ---------------------------------------------------------------------------------------- placeholders


def _fill(markdown: str, slug: str, up: str) -> str:
    """Fill in numbers, proofs, citations and lists, outside of code."""
    held: list[str] = []

    def hold(match: re.Match) -> str:
        held.append(match[0])
        return f"\0{len(held) - 1}\0"

    for pattern in (rooms.FENCE, rooms.CODE):
        markdown = pattern.sub(hold, markdown)
    markdown = rooms.CITATION.sub(_citation, markdown)
    markdown = rooms.PLACEHOLDER.sub(lambda m: _placeholder(m[1], slug, up), markdown)
    while "\0" in markdown:
        markdown = re.sub(r"\0(\d+)\0", lambda m: held[int(m[1])], markdown)
    return markdown


def _placeholder(text: str, slug: str, up: str) -> str:
    if text == "questions":
        return _question_list()
    if text == "verified":
        return _verified_table()
    proof = rooms.PROOF.match(text)
    if proof:
        where = proof["slug"] or slug
        if proof["test"] not in [c.test for c in state.claims.get(where, [])]:
            raise Problem(f"there is no claim `{where}.{proof['test']}`.")
        page = "" if where == slug else f"{up}questions/{where}.md"
        kind, _ = _status(evidence.DEFAULT, where, proof["test"])
        return f"[{'proven by a test' if kind == 'verified' else 'see the test'}]({page}#{proof['test']}){{ .proof }}"
    return evidence.fill(text, state.values)


def _citation(match: re.Match) -> str:
    key = match["key"]
    if key not in state.papers:
        raise Problem(f"unknown reference `{key}`: not in docs/references.bib.")
    label = _reference(key).partition("</span>")[0].partition(">")[2].rstrip(".").replace("(", "").replace(")", "")
    place = f", {match['place']}" if match["place"] else ""
    return f"([{label}](#ref-{key}){place})"


def _question_list() -> str:
    parts = []
    for topic, title in rooms.TOPICS.items():
        listed = [q for q in state.questions.values() if q.topic == topic]
        if listed:
            parts.append(f"## {title}")
            parts += [f"[{q.question}](questions/{q.slug}.md){{ .question }}\n\n{q.answer}" for q in listed]
    return "\n\n".join(parts)


def _verified_table() -> str:
    runners = list(state.records)
    parts = []
    for slug, q in state.questions.items():
        parts += [f"## {q.question}", f"[The answer](questions/{slug}.md)", ""]
        rows = [f"| claim | {' | '.join(_runner(r) for r in runners)} |", "| --- |" + " --- |" * len(runners)]
        for claim in state.claims[slug]:
            marks = [_status(r, slug, claim.test) for r in runners]
            text = next((item["sentence"] for _, item in marks if item), claim.sentence)
            words = {
                "verified": "verified",
                "stale": "before the last change",
                "failed": "does not hold",
                "none": "not run",
            }
            cells = [f'<span class="mark {k}">{words[k]}</span> {item.get("date", "")}' for k, item in marks]
            rows.append(f"| [{text}](questions/{slug}.md#{claim.test}) | {' | '.join(cells)} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


# ------------------------------------------------------------------------------------ notebooks, proofs


def _notebook_page(slug: str, config) -> str:
    """A notebook as Markdown: its prose, its code, its printed output, its figures as files."""
    cells = _cells(slug)
    parts, figure = [], 0
    for cell in cells:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(source.replace("](../docs/", "](../"))
            continue
        code = re.sub(r"^#\|.*\n", "", source, flags=re.MULTILINE)
        if code:
            parts.append(f"````python\n{code}\n````")
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                raise Problem(f"notebooks/{slug}.ipynb stores an error, {output['ename']}.")
            data = output.get("data", {})
            if "image/svg+xml" in data or "image/png" in data:
                figure += 1
                parts.append(_figure_markdown(figure, data, rooms.figure_alt(cell), slug))
            elif output.get("name") != "stderr":
                text = "".join(output.get("text") or data.get("text/plain", ""))
                parts.append(f"````text {{ .output }}\n{text.rstrip()}\n````")
    title = next(i for i, part in enumerate(parts) if part.startswith("# "))
    head = (
        f"[The answer](../questions/{slug}.md) · "
        f'<a href="{slug}.ipynb" download>Download the notebook</a>, which brings its programs along.'
    )
    parts[title] = (
        parts[title].replace("\n", f"\n\n{head}\n\n", 1) if "\n" in parts[title] else f"{parts[title]}\n\n{head}"
    )
    return "\n\n".join(parts) + "\n"


def _figure_markdown(number: int, data: dict, alt: str, slug: str) -> str:
    if not alt:
        raise Problem(f"notebooks/{slug}.ipynb: figure {number} has no alt text.")
    alt = alt.replace("]", r"\]")
    if "image/svg+xml" in data:
        svg = "".join(data["image/svg+xml"])
        width, height = (
            round(float(re.search(rf'\b{side}="([\d.]+)pt"', svg)[1]) * 4 / 3) for side in ("width", "height")
        )
        size = f"width={width} height={height} loading=lazy"
        return "\n".join(
            f"![{alt}](figure-{number}-{scheme}.svg#only-{scheme}){{ {size} }}" for scheme in ("light", "dark")
        )
    png = base64.b64decode("".join(data["image/png"]))
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    return f"![{alt}](figure-{number}.png){{ width={width} height={height} loading=lazy }}"


def _figures(slug: str, config) -> dict[str, str | bytes]:
    """The figures of a notebook as files: an SVG once for each palette, a PNG as it is."""
    found: dict[str, str | bytes] = {}
    outputs = [o["data"] for c in _cells(slug) for o in c.get("outputs", []) if "data" in o]
    pictures = [d for d in outputs if "image/svg+xml" in d or "image/png" in d]
    for number, data in enumerate(pictures, start=1):
        if "image/svg+xml" in data:
            svg = "".join(data["image/svg+xml"])
            for scheme, colours in config.extra["figure_colours"].items():
                pattern = re.compile("|".join(map(re.escape, colours)), re.IGNORECASE)
                found[f"figure-{number}-{scheme}.svg"] = pattern.sub(lambda m, c=colours: c[m[0].lower()], svg)
        else:
            found[f"figure-{number}.png"] = base64.b64decode("".join(data["image/png"]))
    return found


def _cells(slug: str) -> list[dict]:
    return json.loads((ROOT / f"notebooks/{slug}.ipynb").read_text(encoding="utf-8"))["cells"]


def _download(slug: str) -> str:
    """The notebook with the files that it uses in its first cells, so that it runs in an empty folder."""
    path = ROOT / f"notebooks/{slug}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    files = [ROOT / "notebooks/figures.mplstyle", *sorted(rooms.imported_snippets(rooms.notebook_source(path), ROOT))]
    for file in reversed(files):
        notebook["cells"].insert(
            0,
            {
                "cell_type": "code",
                "execution_count": None,
                "id": hashlib.sha256(file.name.encode()).hexdigest()[:8],
                "metadata": {},
                "outputs": [],
                "source": f"%%writefile {file.name}\n{file.read_text(encoding='utf-8')}",
            },
        )
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _proof_page(q: rooms.Question) -> str:
    name = f"tests/questions/test_{module(q.slug)}.py"
    return (
        f"# Proof: {q.question}\n\n[The answer](../questions/{q.slug}.md) rests on `{name}`. "
        f'Run it with `make verify Q={q.slug}`.\n\n```python linenums="1"\n--8<-- "{name}"\n```\n'
    )


def _repository_file(path: str, config) -> File:
    return File(path, src_dir=str(ROOT), dest_dir=config.site_dir, use_directory_urls=config.use_directory_urls)


def _mathml(match: re.Match) -> str:
    tex = html.unescape(match[2]).strip()
    block = tex.startswith("\\[")
    return latex2mathml.converter.convert(tex[2:-2].strip(), display="block" if block else "inline")


def _plain(markdown: str) -> str:
    return re.sub(r"[*_`]|\[@[^\]]*\]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown))
