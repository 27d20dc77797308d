"""When each answer last changed: docs/answers.yml, which `make dates` writes and `make check` compares.

Each line is `slug: day hash`, the hash of the answer as the page says it. Git knows the day as well, but not every copy
of the project has its history.
"""

import hashlib
import re
from pathlib import Path

import yaml

from kb import question as rooms
from kb.question import YAML, Problem

NAME = "docs/answers.yml"
LINE = re.compile(r"(\d{4}-\d\d-\d\d) ([0-9a-f]{12})")
HEAD = "# The day on which each answer last changed, with the answer's hash. `make dates` writes it.\n"


def dates(root: Path) -> dict[str, str]:
    """Question → the day on which its answer last changed."""
    return {slug: day for slug, (day, _) in _noted(root).items()}


def problems(root: Path) -> list[str]:
    """The answers that are not those of the day that is noted."""
    try:
        noted, now = _noted(root), _now(root)
    except Problem as problem:
        return [str(problem)]
    found = []
    for slug in sorted(noted.keys() | now.keys()):
        if slug not in noted:
            found.append(f"{NAME}: no day is noted for the answer of `{slug}`: run `make dates`.")
        elif slug not in now:
            found.append(f"{NAME}: there is no question `{slug}`: run `make dates`.")
        elif noted[slug][1] != now[slug]:
            found.append(f"{NAME}: the answer of `{slug}` has changed since {noted[slug][0]}: run `make dates`.")
    return found


def renew(root: Path, day: str) -> list[str]:
    """Note the day for each answer that is another one than was noted; their names."""
    noted, now = _noted(root), _now(root)
    new = [slug for slug in now if noted.get(slug, ("", ""))[1] != now[slug]]
    lines = [f"{slug}: {day if slug in new else noted[slug][0]} {now[slug]}\n" for slug in now]
    (root / NAME).write_text(HEAD + "".join(lines), encoding="utf-8")
    return new


def digest(answer: str) -> str:
    return hashlib.sha256(answer.encode()).hexdigest()[:12]


def _now(root: Path) -> dict[str, str]:
    found = {}
    for slug in rooms.slugs(root):
        try:
            found[slug] = digest(rooms.read(root / f"docs/questions/{slug}.md").answer)
        except Problem:
            continue  # reported with the page
    return found


def _noted(root: Path) -> dict[str, tuple[str, str]]:
    path = root / NAME
    try:
        lines = (yaml.load(rooms.text_of(path, root), YAML) or {}) if path.exists() else {}
        return {slug: LINE.fullmatch(line).groups() for slug, line in lines.items()}
    except (yaml.YAMLError, AttributeError, TypeError):
        raise Problem(f"{NAME}: each line must be `slug: day hash`, as `make dates` writes it.") from None
