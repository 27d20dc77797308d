"""A notebook as the site shows it: as a page, as figures in files, as a download that runs in an empty folder."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

from kb import question as rooms
from kb.question import Problem

COLAB = "https://colab.research.google.com/github/"
GITHUB = "https://github.com/"
BRANCH = "gh-pages"  # where `mkdocs gh-deploy` puts the built site, and Colab finds its notebooks


def page(root: Path, slug: str, repository: str = "") -> str:
    """A notebook as Markdown: its prose, its code, its printed output, its figures as files."""
    parts, figure = [], 0
    for cell in _cells(root, slug):
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
    heading, _, rest = parts[title].partition("\n")
    parts[title] = "\n\n".join([heading, _head(slug, repository), rest.strip()]).rstrip()
    return "\n\n".join(parts) + "\n"


def _head(slug: str, repository: str) -> str:
    """What one can do with a notebook: in a browser, in an empty folder."""
    links = [f'<a href="{slug}.ipynb" download="{slug}.ipynb">Download</a>']
    if repository.startswith(GITHUB):
        path = f"{repository.removeprefix(GITHUB).strip('/')}/blob/{BRANCH}/notebooks/{slug}/{colab_name(slug)}"
        links.insert(0, f"[Open in Colab]({COLAB}{path})")
    return (
        f"{' '.join(links)}\n{{ .actions }}\n\n"
        f"The download brings its programs along. To run it: `jupyter lab {slug}.ipynb`, or `make notebook` in the "
        "project.\n{ .needs }"
    )


def colab_name(slug: str) -> str:
    return f"{slug}-colab.ipynb"


def figure(root: Path, slug: str, number: int, caption: str = "") -> str:
    """A figure of a notebook as its question's page shows it. Raises `Problem` if the notebook has no such figure."""
    there = _pictures(root, slug) if (root / f"notebooks/{slug}.ipynb").exists() else []
    if number > len(there):
        raise Problem(f"there is no figure {number} in notebooks/{slug}.ipynb, which has {len(there)}.")
    data, alt = there[number - 1]
    shown = _figure_markdown(number, data, alt, slug, f"../notebooks/{slug}/")
    drawn = f'<span class="drawn">[The notebook](../notebooks/{slug}.ipynb) draws it.</span>'
    return f"{shown}\n\n{caption.strip()} {drawn}\n{{ .caption }}"


def _figure_markdown(number: int, data: dict, alt: str, slug: str, folder: str = "") -> str:
    if not alt:
        raise Problem(f"notebooks/{slug}.ipynb: figure {number} has no alt text.")
    if "image/svg+xml" in data:
        return drawing(alt, f"{folder}figure-{number}", "".join(data["image/svg+xml"]))
    png = base64.b64decode("".join(data["image/png"]))
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    return _image(alt, f"{folder}figure-{number}.png", width, height)


def _pictures(root: Path, slug: str) -> list[tuple[dict, str]]:
    """Each figure of a notebook, with its alt text."""
    outputs = [(o.get("data", {}), rooms.figure_alt(c)) for c in _cells(root, slug) for o in c.get("outputs", [])]
    return [(data, alt) for data, alt in outputs if "image/svg+xml" in data or "image/png" in data]


def drawing(alt: str, name: str, svg: str) -> str:
    """An SVG, once for each palette."""
    width, height = size(svg)
    return "\n".join(_image(alt, f"{name}-{s}.svg#only-{s}", width, height) for s in ("light", "dark"))


def size(svg: str) -> tuple[int, int]:
    """Width and height of an SVG in pixels, from its attributes in points or pixels."""
    found = [re.search(rf'<svg\b[^>]*\b{side}="([\d.]+)(pt)?"', svg) for side in ("width", "height")]
    return tuple(round(float(m[1]) * (4 / 3 if m[2] else 1)) for m in found)


def _image(alt: str, source: str, width: int, height: int) -> str:
    alt = alt.replace("]", r"\]")
    return f"![{alt}]({source}){{ width={width} height={height} loading=lazy }}"


def palettes(svg: str, colours: dict[str, dict[str, str]]) -> dict[str, str]:
    """Palette → the drawing in its colours."""
    found = {}
    for scheme, instead in colours.items():
        pattern = re.compile("|".join(map(re.escape, instead)), re.IGNORECASE)
        found[scheme] = pattern.sub(lambda m, c=instead: c[m[0].lower()], svg)
    return found


def script_of(svg: str) -> str:
    """What of a drawing would run as a script; empty if nothing would."""
    bare = re.sub(r"[\t\r\n]", "", html.unescape(svg))  # as a browser reads an address
    found = rooms.SCRIPT.search(svg) or re.search(r"""=\s*["']?\s*javascript:""", bare, re.IGNORECASE)
    return found[0] if found else ""


def figures(root: Path, slug: str, colours: dict) -> dict[str, str | bytes]:
    """The figures of a notebook as files: an SVG once for each palette, a PNG as it is.

    Raises `Problem` for one that carries a script: opened by itself, it would run."""
    found: dict[str, str | bytes] = {}
    for number, (data, _) in enumerate(_pictures(root, slug), start=1):
        if "image/svg+xml" in data:
            drawn = palettes(svg := "".join(data["image/svg+xml"]), colours)
            if script := script_of(svg):
                raise Problem(f"notebooks/{slug}.ipynb: figure {number} carries a script: `{script}`.")
            found |= {f"figure-{number}-{scheme}.svg": svg for scheme, svg in drawn.items()}
        else:
            found[f"figure-{number}.png"] = base64.b64decode("".join(data["image/png"]))
    return found


def download(root: Path, slug: str, colab: bool = False) -> str:
    """The notebook with the files that it uses in its first cells, so that it runs in an empty folder.

    Colab brings versions of its own: there, the first cell installs those that are locked.
    """
    path = root / f"notebooks/{slug}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    source = rooms.notebook_source(path)
    files = [root / "notebooks/figures.mplstyle", *sorted(rooms.imported_snippets(source, root))]
    first = [_cell(file.name, f"%%writefile {file.name}\n{file.read_text(encoding='utf-8')}") for file in files]
    if colab:
        sources = [source, *(file.read_text(encoding="utf-8") for file in files[1:])]
        first.insert(0, _cell("pip", f"%pip install --quiet {' '.join(_pinned(root, sources))}"))
    notebook["cells"] = first + notebook["cells"]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _pinned(root: Path, sources: list[str]) -> list[str]:
    """The packages that programs import, in the versions of the tests' lock file, with the default backend."""
    lock = (root / "requirements/test.txt").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE))
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", "\n".join(sources), re.MULTILINE)) | {"tensorflow"}
    names = sorted(rooms.PACKAGES.get(name, name) for name in imported)
    return [f"{name}=={versions[name]}" for name in names if name in versions]


def _cell(name: str, source: str) -> dict:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": hashlib.sha256(name.encode()).hexdigest()[:8],
        "metadata": {},
        "outputs": [],
        "source": source,
    }


def _cells(root: Path, slug: str) -> list[dict]:
    return json.loads((root / f"notebooks/{slug}.ipynb").read_text(encoding="utf-8"))["cells"]
