"""Measure what the project costs, each figure against a floor or against the stock set-up in the same run.

`python -m kb.bench [part …]`, parts: install, build, pages, check, verify, notebooks, test, gpu, growth. Medians of
several runs; seconds are this machine's, the ratios are what to compare. Writes bench.json.
"""

import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from kb import growth as synthetic

ROOT = Path(__file__).parent.parent
SITE, CHECK, TEST = (str(ROOT / f".venv/{name}/bin/python") for name in ("site", "check", "test"))
STOCK = """site_name: stock
theme: {name: material}
plugins: [search, mkdocs-jupyter]
markdown_extensions:
  - admonition
  - attr_list
  - md_in_html
  - tables
  - toc: {permalink: true}
  - pymdownx.arithmatex: {generic: true}
  - pymdownx.highlight
  - pymdownx.snippets: {base_path: ["."]}
  - pymdownx.superfences
"""
# the notebooks that compute least, lightest first: what is measured is how they start
LIGHT = (
    "dropblock",
    "stochastic-depth",
    "scope",
    "recurrent",
    "noise-shape",
    "residual",
    "mixed-precision",
    "insert-into-a-model",
    "frozen-layers",
    "generative-and-rl",
    "conv-layers",
    "autodropout",
)
NOWHERE = subprocess.DEVNULL
ENV = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def seconds(command: list[str], runs: int = 3, cwd: Path = ROOT, before=None, more: dict | None = None) -> float:
    """The median time of a command that must succeed."""
    times = []
    for _ in range(runs):
        if before:
            before()
        start = time.perf_counter()
        subprocess.run(command, cwd=cwd, env=ENV | (more or {}), check=True, stdout=NOWHERE, stderr=NOWHERE)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def stock(folder: Path, root: Path = ROOT) -> Path:
    """The same pages for mkdocs-jupyter with its defaults: our Markdown twins and notebooks, no hooks."""
    command = [SITE, "-m", "kb.start", "-q", "build", "--site-dir", str(folder / "built")]
    subprocess.run(command, cwd=root, env=ENV, check=True)
    shutil.copytree(root / "docs/assets", folder / "docs/assets")
    for twin in (folder / "built").rglob("index.md"):
        place = twin.relative_to(folder / "built")
        if place.parts[0] != "notebooks":
            (folder / "docs" / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(twin, folder / "docs" / place)
    shutil.copytree(
        root / "notebooks", folder / "docs/notebooks", ignore=shutil.ignore_patterns("*.toml", "*.mplstyle")
    )
    (folder / "mkdocs.yml").write_text(STOCK, encoding="utf-8")
    return folder


def build() -> dict:
    """Cold and unchanged builds, ours against the stock set-up."""
    with tempfile.TemporaryDirectory() as name:
        folder = stock(Path(name))
        ours = [SITE, "-m", "kb.start", "-q", "build", "--site-dir", str(folder / "ours")]
        theirs = [SITE, "-m", "mkdocs", "-q", "build", "--site-dir", str(folder / "theirs")]

        def clean():
            for path in (folder / "ours", folder / "theirs", folder / ".cache", ROOT / ".cache"):
                shutil.rmtree(path, ignore_errors=True)

        times = {}
        for kind, before in (("cold", clean), ("unchanged", None)):
            a, b = seconds(ours, before=before), seconds(theirs, cwd=folder, before=before)
            times[kind] = {"seconds": a, "stock_seconds": b, "ratio": a / b, **({"to_reach": 0.35} if before else {})}
    return times


def pages() -> dict:
    """Bytes of a notebook page and of a question page, raw and compressed."""
    with tempfile.TemporaryDirectory() as name:
        folder = stock(Path(name))
        for cwd, out, run in ((ROOT, "ours", "kb.start"), (folder, "theirs", "mkdocs")):
            seconds([SITE, "-m", run, "-q", "build", "--site-dir", str(folder / out)], runs=1, cwd=cwd)

        def size(path: Path) -> dict:
            data = path.read_bytes()
            return {"kB": len(data) / 1000, "compressed_kB": len(gzip.compress(data, 9)) / 1000}

        ours, theirs = {}, {}
        for slug in sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb")):
            ours[slug] = size(folder / f"ours/notebooks/{slug}/index.html")
            theirs[slug] = size(folder / f"theirs/notebooks/{slug}/index.html")
        largest = max(ours, key=lambda s: ours[s]["kB"])
        questions = {p.parent.name: size(p) for p in (folder / "ours/questions").glob("*/index.html")}
        widest = max(questions, key=lambda s: questions[s]["kB"])
    return {
        "largest notebook page": {
            "page": largest,
            **ours[largest],
            "stock_kB": theirs[largest]["kB"],
            "stock_compressed_kB": theirs[largest]["compressed_kB"],
            "ratio": ours[largest]["kB"] / theirs[largest]["kB"],
            "to_reach": "80 kB, 12 kB compressed",
        },
        "largest question page": {"page": widest, **questions[widest]},
    }


def install() -> dict:
    """A fresh clone to the first page of `make serve`, against an installation of the stock set-up."""
    with tempfile.TemporaryDirectory() as name:
        clone, port = Path(name) / "clone", 8765
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        start = time.perf_counter()
        server = subprocess.Popen(
            ["make", "serve", f"PORT={port}"], cwd=clone, env=ENV, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            _first_page(f"http://127.0.0.1:{port}/", server)
            ours = time.perf_counter() - start
        finally:
            os.killpg(server.pid, 15)
            server.wait()
        weight = sum(p.stat().st_size for p in (clone / ".venv").rglob("*") if p.is_file() and not p.is_symlink())
        folder = stock(Path(name) / "stock")
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
        packages = subprocess.check_output([SITE, "-m", "pip", "freeze"], text=True).splitlines()
        wanted = [p for p in packages if p.startswith(("mkdocs-material==", "mkdocs-jupyter=="))]
        subprocess.run([str(folder / "env/bin/pip"), "install", "-qq", *wanted], check=True)
        seconds([str(folder / "env/bin/python"), "-m", "mkdocs", "-q", "build"], runs=1, cwd=folder)
        theirs = time.perf_counter() - start
    return {"first page": {"seconds": ours, "MB": weight / 1e6, "stock_seconds": theirs, "ratio": ours / theirs}}


def _first_page(address: str, server: subprocess.Popen) -> None:
    while server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise SystemExit("make serve ended before it served a page")


def check() -> dict:
    """`make check`, against a build of the site alone."""
    floor = seconds([SITE, "-m", "kb.start", "-q", "build", "--site-dir", str(ROOT / ".cache/bench")])
    ours = seconds(["make", "check"])
    return {"make check": {"seconds": ours, "floor_seconds": floor, "ratio": ours / floor, "to_reach": "5 seconds"}}


def verify() -> dict:
    """`make verify Q=scope`, with its notebook and without, on each installed backend, against its bare import."""
    found = {}
    for backend, name in (("tensorflow", "test"), ("jax", "jax"), ("torch", "torch")):
        python, environment = ROOT / f".venv/{name}/bin/python", {"KERAS_BACKEND": backend}
        if not python.exists():
            continue
        floor = seconds([str(python), "-c", f"import {backend}"])
        scope = [str(python), "-m", "pytest", "-q", "--question", "scope", "snippets", "tests/questions"]
        without = seconds(scope, more=environment)
        whole = seconds(["make", "verify", "Q=scope", f"BACKEND={backend}"])
        figures = {"seconds": without, "floor_seconds": floor, "ratio": without / floor, "to_reach": 2}
        found[f"{backend}, no notebook"] = figures
        found[f"{backend}, make verify Q=scope"] = {"seconds": whole, "floor_seconds": floor, "ratio": whole / floor}
    return found


def notebooks() -> dict:
    """Three and twelve light notebooks that import TensorFlow, forked, against stock pytest-notebook."""
    ini = "[pytest]\nnb_diff_ignore =\n  /metadata\n  /cells/*/execution_count\n  /cells/*/outputs\n"
    found = {}
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(ROOT / "notebooks", Path(name) / "notebooks")
        shutil.copytree(ROOT / "snippets", Path(name) / "snippets")
        (Path(name) / "pytest.ini").write_text(ini)  # it would fail on the version of Python, and we measure time
        for count, runs in ((3, 3), (len(LIGHT), 1)):
            files = [f"notebooks/{slug}.ipynb" for slug in LIGHT[:count]]
            theirs = seconds([TEST, "-m", "pytest", "-q", "--nb-test-files", *files], runs, cwd=Path(name))
            ours = seconds([TEST, "-m", "pytest", "-q", *files], runs)
            figures = {"seconds": ours, "stock_seconds": theirs, "ratio": ours / theirs, "to_reach": 0.4}
            found[f"{count} notebooks"] = figures
    return found


def test() -> dict:
    """`make test`, against the bare import of TensorFlow."""
    floor, ours = seconds([TEST, "-c", "import tensorflow"]), seconds(["make", "test"], runs=1)
    return {"make test": {"seconds": ours, "floor_seconds": floor, "ratio": ours / floor, "to_reach": "480 seconds"}}


def gpu() -> dict:
    """Everything on a GPU, on each backend, against the bare import; nothing is measured where there is none."""
    if not shutil.which("nvidia-smi") or subprocess.run(["nvidia-smi", "-L"], stdout=NOWHERE, check=False).returncode:
        return {"whole run": {"not_measured": "there is no GPU here", "to_reach": "300 seconds"}}
    found = {}
    for backend, name in (("tensorflow", "gpu"), ("jax", "gpu-jax"), ("torch", "gpu-torch")):
        run = ["make", "everything", "RUNNER=gpu", f"BACKEND={backend}"]
        subprocess.run(
            ["make", f".venv/{name}/.ready", "site/index.html"], cwd=ROOT, env=ENV, check=True, stdout=NOWHERE
        )
        floor = seconds([str(ROOT / f".venv/{name}/bin/python"), "-c", f"import {backend}"])
        ours = seconds(run, runs=1)
        figures = {"seconds": ours, "floor_seconds": floor, "ratio": ours / floor, "to_reach": "300 seconds"}
        found[f"{backend}, whole run"] = figures
    return found


def growth() -> dict:
    """Sites of 12, 100 and 1,000 questions, each with a notebook; the slope against that of the stock set-up."""
    found, cold, theirs = {}, {}, {}
    queries = ("dropout rate", "validation loss lower than training loss", "lstm drqpout", "d")
    ours = [SITE, "-m", "kb.start", "-q", "build"]
    with tempfile.TemporaryDirectory() as name:
        for count in (12, 100, 1000):
            folder = Path(name) / f"{count}"
            folder.mkdir()
            first = synthetic.make(folder, count)[0]
            cold[count], memory = usage(ours, folder)
            warm, _ = usage(ours, folder)
            index = (folder / "site/assets/search-index.js").read_bytes()
            search = look("search", str(folder / "site"), *queries)
            edit = look("edit", str(folder), f"questions/{first}.md")
            found[f"{count} questions"] = {
                "cold_seconds": cold[count],
                "unchanged_seconds": warm,
                "peak_MB": memory,
                "question_page_kB": (folder / f"site/questions/{first}/index.html").stat().st_size / 1000,
                "index_compressed_kB": len(gzip.compress(index, 9)) / 1000,
                "search_ms": 1000 * search["slowest"],
                "first_search_typed_ms": 1000 * search["typed"],
                "first_search_pasted_ms": 1000 * search["pasted"],
                "edit_seconds": edit["text"],
                "edit_of_the_answer_seconds": edit["answer"],
            }
        for count in (10, 50):
            folder = Path(name) / f"for-stock-{count}"
            folder.mkdir()
            synthetic.make(folder, count)
            theirs[count], _ = usage(
                [SITE, "-m", "mkdocs", "-q", "build"], stock(Path(name) / f"stock-{count}", folder)
            )
    slope, stock_slope = (cold[1000] - cold[100]) / 900, (theirs[50] - theirs[10]) / 40
    found["a question more"] = {
        "seconds": slope,
        "from_12_to_100_seconds": (cold[100] - cold[12]) / 88,
        "stock_seconds": stock_slope,
        "ratio": slope / stock_slope,
        "to_reach": 0.33,
    }
    return found


def usage(command: list[str], cwd: Path) -> tuple[float, float]:
    """Seconds and peak MB of a command that must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed in {cwd}")
    return time.perf_counter() - start, used.ru_maxrss / (1e3 if sys.platform == "linux" else 1e6)


def look(*arguments: str) -> dict:
    """What kb.look measures in a browser."""
    command = [CHECK, "-m", "kb.look", *arguments]
    return json.loads(subprocess.check_output(command, cwd=ROOT, env={**ENV, "SITE_PYTHON": SITE}, text=True))


PARTS = {
    "install": install,
    "build": build,
    "pages": pages,
    "check": check,
    "verify": verify,
    "notebooks": notebooks,
    "test": test,
    "gpu": gpu,
    "growth": growth,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"there is no part `{unknown[0]}`: {', '.join(PARTS)}")
        return 2
    path = ROOT / "bench.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in names or PARTS:
        print(f"measuring: {name} …", flush=True)
        for what, figures in PARTS[name]().items():
            figures = {k: round(v, 2) if isinstance(v, float) else v for k, v in figures.items()}
            results[f"{name}: {what}"] = figures
            print(f"  {what}: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in figures.items()), flush=True)
        path.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
