"""Write and read the records of what ran where; say whether a record is still fresh and untouched.

A record, `evidence/<device>-<backend>.json`, holds the environment once, then each claim by question: its sentence,
outcome, day, seconds, measured values, and the hash of every file that it rests on. A seal, the hash of the entry
itself, makes a hand-edited value show. `Value` is one measured number with what it was checked against.
"""

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from kb.question import MEASURED, Problem, claims, rests_on, slugs

DEFAULT = "cpu-tensorflow"
SIGMAS = 5  # a sampled value holds within so many standard errors


@dataclass(frozen=True)
class Value:
    """One measured value. `kind` is exact, close, sampled or trained; the other fields depend on it.

    `expected`: what an exact, close or sampled value is checked against. `tolerance`: of a close value.
    `error`: the standard error of a sampled value, computed from its `n` draws. `low`, `high`: the 95 % interval of a
    trained value over its `n` paired replicas.
    """

    kind: str
    value: object
    expected: object = None
    tolerance: float | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    @property
    def interval(self) -> "Interval":
        """The value with its interval, one format for all three: `{gain.interval:+.1f}`."""
        return Interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class Interval:
    """A trained value with its 95 % interval, as prose shows it."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return _minus(f"{self.value:{spec}} (95 % interval {self.low:{spec}} to {self.high:{spec}})")


def record_path(root: Path, runner: str = DEFAULT) -> Path:
    """Where the record of a runner lies."""
    return root / f"evidence/{runner}.json"


def load(root: Path, runner: str = DEFAULT) -> dict:
    """A runner's record, empty if it has none. Raises `Problem` if the file is not JSON."""
    path = record_path(root, runner)
    if not path.exists():
        return {"environment": {}, "claims": {}}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise Problem(f"evidence/{runner}.json:{error.lineno}: the record is not valid JSON.") from None


def runners(root: Path) -> list[str]:
    """The runners that have a record, the default one first."""
    names = sorted(p.stem for p in (root / "evidence").glob("*.json"))
    return sorted(names, key=lambda name: name != DEFAULT)


def values(root: Path) -> dict[str, dict[str, Value]]:
    """The default runner's measured values: slug → name → value."""
    found: dict[str, dict[str, Value]] = {}
    for slug, tests in load(root)["claims"].items():
        for entry in tests.values():
            for name, value in entry["values"].items():
                found.setdefault(slug, {})[name] = Value(**value)
    return found


def fill(placeholder: str, measured: dict[str, dict[str, Value]]) -> str:
    """The text for `slug.name`, `slug.name.low` or `slug.name.interval`, with an optional `:format`."""
    match = MEASURED.match(placeholder)
    if not match:
        raise Problem(f"`{placeholder}` does not name a measured number.")
    if match["name"] not in measured.get(match["slug"], {}):
        raise Problem(f"there is no measured number `{match['slug']}.{match['name']}` in evidence/{DEFAULT}.json.")
    try:
        return _minus(("{value" + match["rest"] + "}").format(value=measured[match["slug"]][match["name"]]))
    except (AttributeError, TypeError, ValueError) as error:
        raise Problem(f"`{placeholder}` cannot be shown: {error}.") from None


def sentence(template: str, measured: dict[str, Value]) -> str:
    """A claim's sentence with its `{name:format}` filled in from its own values."""
    try:
        return _minus(template.format(**measured))
    except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        raise Problem(f"the sentence “{template}” cannot be filled in: {error!r}.") from None


def hashes(root: Path, slug: str) -> dict[str, str]:
    """The hash of every file that the claims of a question rest on."""
    return {p.relative_to(root).as_posix(): _digest(p.read_bytes()) for p in rests_on(root, slug)}


def seal(entry: dict) -> str:
    """The hash of an entry's own content."""
    content = {key: value for key, value in entry.items() if key != "seal"}
    return _digest(json.dumps(content, sort_keys=True, ensure_ascii=False).encode())


def stale(root: Path, slug: str, entry: dict) -> list[str]:
    """The files that changed since the entry was recorded."""
    now = hashes(root, slug)
    return sorted(name for name in now.keys() | entry["files"].keys() if now.get(name) != entry["files"].get(name))


def write(root: Path, runner: str, environment: dict, entries: dict[str, dict[str, dict]], whole: bool) -> None:
    """Write the entries of a run, question by question.

    `whole` replaces the record; otherwise the questions that ran replace theirs, which only the environment that
    recorded the others may do. Raises `Problem` if it is another one.
    """
    old = {"environment": {}, "claims": {}} if whole else load(root, runner)
    before = {k: v for k, v in old["environment"].items() if k != "seal"}
    if before and before != environment:
        changed = [k for k in before.keys() | environment.keys() if before.get(k) != environment.get(k)]
        raise Problem(
            f"evidence/{runner}.json was recorded in another environment ({', '.join(sorted(changed))} differ): "
            "record every question again with `make record`."
        )
    merged = {**old["claims"], **entries}
    content = {
        "environment": {**environment, "seal": seal(environment)},
        "claims": {slug: merged[slug] for slug in sorted(merged)},
    }
    path = record_path(root, runner)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def entry(root: Path, slug: str, text: str, outcome: str, day: str, seconds: float, measured: dict[str, Value]) -> dict:
    """One claim's entry, sealed."""
    made = {
        "sentence": text,
        "outcome": outcome,
        "date": day,
        "seconds": round(seconds, 1),
        "values": {k: {f: x for f, x in asdict(v).items() if x is not None} for k, v in measured.items()},
        "files": hashes(root, slug),
    }
    return {**made, "seal": seal(json.loads(json.dumps(made)))}


def agree(a: Value, b: Value) -> bool:
    """Whether two runs' values of the same claim agree, within the claim's own kind."""
    if a.kind != b.kind:
        return False
    if a.kind == "exact":
        return a.value == b.value
    if a.kind == "close":
        return abs(a.value - b.value) <= 2 * (a.tolerance or 0)
    if a.kind == "sampled":
        return abs(a.value - b.value) <= SIGMAS * math.hypot(a.error or 0, b.error or 0)
    return a.low <= b.high and b.low <= a.high


def problems(root: Path) -> list[str]:
    """What is wrong with the records: hand-edited anywhere, stale or incomplete in the default runner's."""
    found = []
    for runner in runners(root) or [DEFAULT]:
        try:
            record = load(root, runner)
        except Problem as problem:
            found.append(str(problem))
            continue
        found += _record_problems(root, runner, record)
    return found


def _record_problems(root: Path, runner: str, record: dict) -> list[str]:
    found, name = [], f"evidence/{runner}.json"
    if record["environment"].get("seal") != seal(record["environment"]):
        found.append(f"{name}: the environment was edited by hand: only a run writes a record (`make record`).")
    for slug, tests in record["claims"].items():
        for test, item in tests.items():
            if item.get("seal") != seal(item):
                found.append(f"{name}: {slug}.{test} was edited by hand: only a run writes a record (`make record`).")
    for slug in slugs(root):
        try:
            now = {c.test: c for c in claims(root, slug)}
        except Problem:
            continue  # reported with the page
        old = record["claims"].get(slug, {})
        for test in old.keys() - now.keys():
            found.append(f"{name}: {slug}.{test} is recorded, but there is no such claim: run `make record Q={slug}`.")
        if runner != DEFAULT:
            continue
        for test in now:
            if test not in old:
                found.append(f"{name}: {slug}.{test} has no record: run `make record Q={slug}`.")
            elif old[test]["outcome"] != "passed":
                found.append(f"{name}: {slug}.{test} is recorded as {old[test]['outcome']}.")
        changed = sorted({file for item in old.values() for file in stale(root, slug, item)})
        if changed:
            found.append(
                f"{name}: the record of {slug} is stale: {', '.join(changed)} changed since; run `make record Q={slug}`."
            )
    for slug in record["claims"].keys() - set(slugs(root)):
        found.append(f"{name}: {slug} is recorded, but there is no such question: run `make record`.")
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _minus(text: str) -> str:
    # a typographic minus before digits, as in the rest of the prose
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)
