"""Which questions a change touches, so that a pull request runs only these: `python -m kb changed main --shards 4`.

A question is touched if a file changed that its claims rest on with some runner, a lock file among them; all are, if
what runs them changed. A page's own text is not run, and `make check` looks at it.
"""

import subprocess
from pathlib import Path

from kb.question import BACKENDS, Problem, clause, owner, rests_on, slug_of, slugs

# what runs every question
MACHINERY = (
    "Makefile",
    "pyproject.toml",
    "kb/",
    "notebooks/figures.mplstyle",
    ".github/workflows/",
    "requirements/oldest",
)
NOT_RUNNING = (  # the parts of kb/ that make pages
    "kb/changed.py",
    "kb/check.py",
    "kb/marks.py",
    "kb/notebook_pages.py",
    "kb/pages.py",
    "kb/render.py",
    "kb/site.py",
    "kb/start.py",
    "kb/bench.py",
)
RUNNERS = [f"{device}-{backend}" for device in ("cpu", "gpu") for backend in BACKENDS]


def changed_files(root: Path, base: str) -> list[str]:
    """The files that differ from where this branch left `base`, deleted ones included."""
    command = ["git", "diff", "--name-only", "--no-renames", f"{base}...HEAD"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if run.returncode:
        raise Problem(f"git cannot compare with `{base}`: {clause(run.stderr.strip().removeprefix('fatal: '))}.")
    return run.stdout.splitlines()


def touched(root: Path, files: list[str]) -> list[str]:
    """The questions whose claims rest on one of the files."""
    known = slugs(root)
    if any(name.startswith(MACHINERY) and name not in NOT_RUNNING for name in files):
        return known
    found = set()
    for name in files:
        path = root / name
        if path.parent == root / "snippets":
            found.add(owner(path, known))  # also of a program that is gone
        elif path.parent in (root / "notebooks", root / "tests/questions"):
            found.add(slug_of(path))
    for slug in known:
        rests = {p.relative_to(root).as_posix() for runner in RUNNERS for p in rests_on(root, slug, runner)}
        if rests & {*files}:
            found.add(slug)
    return sorted(found & {*known})


def shards(questions: list[str], count: int) -> list[str]:
    """At most `count` lists of questions, as `make verify Q=…` takes them, dealt out in turn."""
    return [",".join(questions[i::count]) for i in range(min(count, len(questions)))]
