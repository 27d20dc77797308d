"""Write and read the records of what ran where; say whether a record is still fresh and untouched.

A record, `evidence/<device>-<backend>.json`, holds the environment of the last whole run, then each claim by
question: its sentence, outcome, day, seconds, measured values, the hash of every file that it rests on, and its own
environment where that is another one; then, where they were timed, how long the programs took. A seal, the hash of
the entry itself, makes a hand-edited value show. `Value` is one measured number with what it was checked against.
"""

import contextlib
import fcntl
import functools
import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from kb.question import (
    BACKENDS,
    MEASURED,
    Claim,
    Problem,
    backend_of,
    claims,
    clause,
    enumeration,
    locked,
    locks,
    module,
    own_files,
    rests_on,
    rooms,
    slugs,
    snippets,
    unreadable,
)

DEFAULT = "cpu-tensorflow"
INTERVAL = "95 % interval"  # what prose calls a confidence interval
ENTRY = {"sentence", "outcome", "date", "seconds", "values", "files", "seal"}
FURTHER = {"study", "environment", "of"}  # of some entries
PROGRAM = {"seconds", "file", "seal"}
WIDER = 5 / 3  # for many replicas, from a 95 % interval to a 99.9 % one
SIGMAS = 5  # standard errors within which a sampled value holds, and two runs agree: there are many comparisons


@dataclass(frozen=True)
class Value:
    """One measured value. `kind` is exact, close, sampled, trained or timed; the other fields depend on it.

    `expected`: what an exact, close or sampled value is checked against. `tolerance`: of a close value.
    `error`: the standard error of a sampled value, computed from its `n` draws. `low`, `high`: the 95 % interval of a
    trained value over its `n` paired replicas, and of a timed one over its `n` rounds.
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
        if isinstance(self.value, list | tuple) and all(isinstance(v, str) for v in self.value) and not spec:
            return enumeration([f"`{name}`" for name in self.value])
        return format(self.value, spec)

    @property
    def interval(self) -> "Interval":
        """The value with its interval, one format for all three: `{gain.interval:+.1f}`."""
        if self.low is None:
            raise AttributeError("only a trained value has an interval, or a timed one")
        return Interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class Interval:
    """A trained or timed value with its 95 % interval, as prose shows it."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        value, low, high = (_not_zero(x, spec) for x in (self.value, self.low, self.high))
        return _minus(f"{value} ({INTERVAL} {low} to {high})")


def record_path(root: Path, runner: str = DEFAULT) -> Path:
    """Where the record of a runner lies."""
    return root / f"evidence/{runner}.json"


def load(root: Path, runner: str = DEFAULT) -> dict:
    """A runner's record, empty if it has none. Raises `Problem` if the file is not a record."""
    path = record_path(root, runner)
    if not path.exists():
        return {"environment": {}, "claims": {}}
    name, again = f"evidence/{runner}.json", "delete the file and run `make record`"
    if runner.rpartition("-")[2] not in BACKENDS:
        raise Problem(f"{name}: this is the record of no backend: there are {', '.join(BACKENDS)}.")

    def once(pairs: list[tuple[str, object]]) -> dict:
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        if twice:
            raise Problem(f"{name}: `{twice[0]}` stands twice in one place, as no run writes it: {again}.")
        return dict(pairs)

    try:
        record = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
        dict.items(record["environment"])
        made = [item for tests in record["claims"].values() for item in tests.values()]
        [Value(**value) for item in made for value in item["values"].values()]
        timed = [item for programs in record.get("programs", {}).values() for item in programs.values()]
        strange = record.keys() - {"environment", "claims", "programs"}
        strange = strange.union(*(item.keys() - ENTRY - FURTHER for item in made), *(t.keys() - PROGRAM for t in timed))
        if strange:
            raise Problem(f"{name}: `{min(strange)}` does not belong in a record as a run writes it: {again}.")
        if not all(item.keys() >= ENTRY for item in made) or not all(item.keys() >= PROGRAM for item in timed):
            raise KeyError
    except json.JSONDecodeError as error:
        raise Problem(f"{name}:{error.lineno}: the record is not valid JSON: {again}.") from None
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise Problem(f"{name}: this is not a record as a run writes it: {again}.") from None
    return record


def runners(root: Path) -> list[str]:
    """The runners that have a record, the default one first."""
    names = sorted(p.stem for p in (root / "evidence").glob("*.json"))
    return sorted(names, key=lambda name: name != DEFAULT)


def runner_of(environment: dict) -> str:
    """The name of the record of an environment: the device's word and the backend. Only a GPU has a driver."""
    device = environment.get("device", "") if "driver" in environment else "cpu"
    return f"{word(device)}-{environment.get('backend')}"


def word(device: str) -> str:
    """A device's name as part of a file name: `NVIDIA H100 80GB HBM3` is `nvidia-h100-80gb-hbm3`."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def values(root: Path, record: dict | None = None) -> dict[str, dict[str, Value]]:
    """The default runner's measured values: slug → name → value. `record` is its record, if somebody has loaded it."""
    found: dict[str, dict[str, Value]] = {}
    for slug, tests in (record or load(root))["claims"].items():
        for entry in tests.values():
            for name, value in entry["values"].items():
                found.setdefault(slug, {})[name] = Value(**value)
    return found


def ran_in(record: dict, item: dict) -> dict[str, str]:
    """The environment in which a claim of a record was measured: its own, or that of the whole record."""
    return item.get("environment") or _unsealed(record["environment"])


def environments(record: dict, slugs: Iterable[str] | None = None) -> list[dict[str, str]]:
    """The environments in which the claims of a record were measured, those of some questions or of all."""
    found: list[dict[str, str]] = []
    for slug in record["claims"] if slugs is None else slugs:
        for item in record["claims"].get(slug, {}).values():
            if ran_in(record, item) not in found:
                found.append(ran_in(record, item))
    return found


def fill(placeholder: str, measured: dict[str, dict[str, Value]]) -> str:
    """The text for `slug.name`, `slug.name.low` or `slug.name.interval`, with an optional `:format`."""
    match = MEASURED.match(placeholder)
    if not match:
        raise Problem(f"`{placeholder}` does not name a measured number.")
    if match["name"] not in measured.get(match["slug"], {}):
        raise Problem(f"there is no measured number `{match['slug']}.{match['name']}` in evidence/{DEFAULT}.json.")
    try:
        text = ("{value" + match["rest"] + "}").format(value=measured[match["slug"]][match["name"]])
    except (AttributeError, TypeError, ValueError) as error:
        raise Problem(f"`{placeholder}` cannot be shown: {clause(error)}.") from None
    if text == "None":
        raise Problem(f"`{placeholder}` cannot be shown: the value has none.")
    if re.search(r"\.\d{7}", text):
        raise Problem(f"`{placeholder}` shows {text}: give it a format, such as `:.2f`.")
    return _minus(text)


def sentence(template: str, measured: dict[str, Value]) -> str:
    """A claim's sentence with its `{name:format}` filled in from its own values."""
    try:
        return _minus(template.format(**measured))
    except (KeyError, IndexError):
        raise Problem(f"the sentence “{template}” cannot be filled in: a name in it is not measured.") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise Problem(f"the sentence “{template}” cannot be filled in: {clause(error)}.") from None


def hashes(root: Path, slug: str, study: bool = False, runner: str = DEFAULT) -> dict[str, str]:
    """The hash of every file that the claims of a question rest on; a study, which takes minutes, on no notebook."""
    return today(root)(slug, study, runner)


def today(root: Path) -> Callable[..., dict[str, str]]:
    """`hashes` for a look at many questions and runners, which reads each file once."""

    @functools.cache
    def of_file(path: Path) -> tuple[str, str]:
        return path.relative_to(root).as_posix(), digest(path.read_bytes())

    @functools.cache
    def of_question(slug: str, study: bool = False, runner: str = DEFAULT) -> dict[str, str]:
        files = rests_on(root, slug, runner, own(slug))
        return dict(of_file(p) for p in files if not (study and p.suffix == ".ipynb"))

    own = functools.cache(lambda slug: own_files(root, slug))
    return of_question


def seal(entry: dict) -> str:
    """The hash of an entry's own content."""
    text = json.dumps(_unsealed(entry), sort_keys=True, ensure_ascii=False)
    return digest(text.encode("utf-8", "surrogatepass"))  # half a character, which no run writes, is edited as well


def _unsealed(entry: dict) -> dict:
    return {key: value for key, value in entry.items() if key != "seal"}


def stale(root: Path, slug: str, entry: dict, runner: str = DEFAULT, now: dict | None = None) -> list[str]:
    """The files that changed since the entry was recorded; `now` are their hashes today, if somebody has them."""
    now = now or hashes(root, slug, entry.get("study", False), runner)
    if now == entry["files"]:
        return []
    backend = runner.rpartition("-")[2]
    # a program for another backend did not run, whatever an entry says of it, or a proof that imports it
    now, then = (
        {name: h for name, h in files.items() if backend_of(name) in (None, backend)} for files in (now, entry["files"])
    )
    return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))


def write(
    root: Path,
    runner: str,
    environment: dict,
    entries: dict[str, dict[str, dict]],
    whole: bool,
    seconds: dict[str, dict[str, float]] | None = None,
) -> None:
    """Write the entries of a run, question by question; `seconds` says how long each question's programs took.

    `whole` replaces the record; otherwise the questions that ran replace theirs. A study's entries stay until it is run
    again. Entries that were measured in another environment than the record's say in which.
    """
    path = record_path(root, runner)
    path.parent.mkdir(exist_ok=True)
    with _alone(path):
        old = load(root, runner)
        common = environment if whole else _unsealed(old["environment"]) or environment

        def placed(item: dict, where: dict[str, str]) -> dict:
            if item["seal"] != seal(item):
                return item  # edited by hand, which must go on to show
            made = {k: v for k, v in item.items() if k not in ("environment", "seal")}
            made |= {"environment": where} if where != common else {}
            return {**made, "seal": seal(made)}

        merged = {} if whole else dict(old["claims"])
        for slug, tests in entries.items():
            is_study = any(item.get("study") for item in tests.values())
            kept = {t: item for t, item in old["claims"].get(slug, {}).items() if bool(item.get("study")) != is_study}
            kept = {test: placed(item, ran_in(old, item)) for test, item in kept.items()}
            tests = {test: placed(item, environment) for test, item in tests.items()}
            known = about(root, slug, runner)
            merged[slug] = {test: (kept | tests)[test] for test in known if test in kept | tests}
        before = {} if whole else old.get("programs", {})
        timed = {slug: _timed(root, programs, before.get(slug, {})) for slug, programs in (seconds or {}).items()}
        timed = before | {slug: programs for slug, programs in timed.items() if slug in entries}
        content = {
            "environment": {**common, "seal": seal(common)},
            "claims": {slug: merged[slug] for slug in sorted(merged)},
            **({"programs": {slug: timed[slug] for slug in sorted(timed)}} if timed else {}),
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for other in runners(root):
        if other != runner:
            _forget(root, other, None if whole else entries.keys())


def about(root: Path, slug: str, runner: str) -> list[str]:
    """The tests of a question that are to hold on a runner in its locked versions."""
    versions = locked(root, runner)
    return [c.test for c in claims(root, slug) if c.is_about(runner, versions)]


def _forget(root: Path, runner: str, asked: Iterable[str] | None) -> None:
    """Take claims that no longer exist out of another runner's record, which may lag but not speak of nothing."""
    path, record, known = record_path(root, runner), load(root, runner), slugs(root)
    kept = {}
    for slug, tests in record["claims"].items():
        ours = asked is None or slug in asked
        now = [c.test for c in claims(root, slug)] if slug in known and ours else []
        kept[slug] = {test: item for test, item in tests.items() if test in now or not ours}
    kept = {slug: tests for slug, tests in kept.items() if tests}
    if kept != record["claims"]:
        with _alone(path):
            text = json.dumps(record | {"claims": kept}, indent=1, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")


def _timed(root: Path, programs: dict[str, float], before: dict[str, dict]) -> dict[str, dict]:
    """How long each program took, with the hash of its file, sealed.

    Of an unchanged program the shortest time counts: a longer one says what else the machine had to do.
    """
    found = {}
    for name in sorted(programs):
        made = {"seconds": round(programs[name], 1), "file": digest((root / f"snippets/{name}").read_bytes())}
        found[name] = {**made, "seal": seal(made)}
        old = before.get(name, {})
        if old.get("file") == made["file"] and old["seal"] == seal(old) and old["seconds"] < made["seconds"]:
            found[name] = old
    return found


@contextlib.contextmanager
def _alone(path: Path):
    """Two runs that end at once write one after the other."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def entry(
    root: Path,
    slug: str,
    text: str,
    outcome: str,
    day: str,
    seconds: float,
    values: dict[str, Value],
    study: bool = False,
    runner: str = DEFAULT,
    test: str = "",
) -> dict:
    """One claim's entry, sealed, and with it whose entry it is."""
    made = {
        "sentence": text,
        "outcome": outcome,
        "date": day,
        "seconds": round(seconds, 1),
        "values": {k: {f: x for f, x in asdict(v).items() if x is not None} for k, v in values.items()},
        **({"study": True} if study else {}),
        "files": hashes(root, slug, study, runner),
        **({"of": f"{runner}: {slug}.{test}"} if test else {}),
    }
    return {**made, "seal": seal(json.loads(json.dumps(made)))}


def agree(a: Value, b: Value) -> bool:
    """Whether two runs' values of the same claim agree, within the claim's own kind."""
    if a.kind != b.kind:
        return False
    if a.kind == "timed":
        return True  # a time belongs to one device and one run; its bounds hold in each
    if a.kind == "exact":
        return a.value == b.value
    if a.kind in ("close", "sampled"):
        # each against what its own run expects, which may depend on weights that backends draw differently
        apart = abs((a.value - a.expected) - (b.value - b.expected))
        return apart <= (2 * (a.tolerance or 0) if a.kind == "close" else SIGMAS * math.hypot(a.error, b.error))
    one, other = _wider(a), _wider(b)
    return one[0] <= other[1] and other[0] <= one[1]


def _wider(trained: Value) -> tuple[float, float]:
    """The interval of a trained value, widened: of hundreds of 95 % ones some do not overlap by chance."""
    half = (trained.high - trained.low) / 2 * WIDER
    return trained.value - half, trained.value + half


@dataclass(frozen=True)
class Disagreement:
    """A value that two runners measured, of the same claim in the same files, and do not agree on."""

    slug: str
    claim: Claim
    name: str
    runners: tuple[str, str]
    values: tuple[object, object]

    @property
    def is_explained(self) -> bool:
        """Whether the claim says that this value differs between runners."""
        return self.name in self.claim.differs


def comparisons(root: Path, records: dict[str, dict], now: Callable | None = None) -> Iterator[tuple]:
    """(slug, claim, the two runners, their entries) of each claim that is fresh on both: what is stale says nothing of
    today.
    """
    now = now or today(root)

    def is_fresh(entry: dict, slug: str, runner: str) -> bool:
        return not stale(root, slug, entry, runner, now(slug, entry.get("study", False), runner))

    for slug in slugs(root):
        try:
            known = claims(root, slug)
        except Problem:
            continue  # reported with the question
        for a, b in itertools.combinations(records, 2):
            for claim in known:
                one, other = (records[runner]["claims"].get(slug, {}).get(claim.test) for runner in (a, b))
                if one and other and is_fresh(one, slug, a) and is_fresh(other, slug, b):
                    yield slug, claim, (a, b), (one, other)


def disagreements(compared: Iterable[tuple]) -> list[Disagreement]:
    """What differs in `comparisons`, each value within its own kind."""
    return [
        Disagreement(slug, claim, name, runners, pair)
        for slug, claim, runners, (one, other) in compared
        for name, pair in _differing(one["values"], other["values"])
    ]


def _differing(one: dict, other: dict) -> list[tuple[str, tuple[object, object]]]:
    found = []
    for name in sorted(one.keys() | other.keys()):
        pair = one.get(name), other.get(name)
        if not all(pair) or not agree(*(Value(**fields) for fields in pair)):
            found.append((name, tuple(fields["value"] if fields else "nothing" for fields in pair)))
    return found


def problems(root: Path) -> list[str]:
    """What is wrong with the records: hand-edited or disagreeing anywhere, stale or incomplete in the default one."""
    found, records = [], {}
    if unreadable(root):
        return found  # reported with the questions
    now = today(root)
    for backend in BACKENDS:  # of those that the project has an environment for
        runner = f"cpu-{backend}"
        if (root / locks(runner)[0]).exists() and not record_path(root, runner).exists():
            found.append(f"evidence/{runner}.json: there is no record: {_again(runner)}.")
    for runner in runners(root):
        try:
            record = load(root, runner)
        except Problem as problem:
            found.append(str(problem))
            continue
        if not any(record["claims"].values()):
            found.append(f"evidence/{runner}.json: the record holds no claim: {_again(runner)}.")
            continue
        edited = _edited(runner, record)
        if not edited:
            foreign = _foreign(root, runner, record)
            found += foreign
            edited = {} if foreign else _misplaced(root, runner, record, now)
        found += edited.values()
        untouched = {slug: tests for slug, tests in record["claims"].items() if slug not in edited}
        records[runner] = record | {"claims": untouched}
        if runner != DEFAULT:
            found += _incomplete(root, runner, records[runner], now)
        if runner == DEFAULT:  # the others may lag
            for slug in sorted({*slugs(root), *record["claims"]} - edited.keys()):
                found += [f"evidence/{runner}.json: {sentence}" for sentence in _lags(root, slug, record, now)]
    for it in disagreements(comparisons(root, records, now)):
        if not it.is_explained:
            (a, b), (x, y) = it.runners, it.values
            where = f"{it.slug}.{it.claim.test}: {it.name}"
            found.append(
                f"evidence/{b}.json: {where} is {y}, and {x} in evidence/{a}.json: mend the claim, or mark it "
                f'`differs("{it.name}", see="…")` with the claim that says why.'
            )
    return found


def _foreign(root: Path, runner: str, record: dict) -> list[str]:
    """What a record says of a device or of claims that its own run did not see."""
    name, found = f"evidence/{runner}.json", []
    ran = {runner_of(e) for e in (_unsealed(record["environment"]), *environments(record))}
    found += [f"{name}: its environment is that of {other}: no {runner} ran." for other in sorted(ran - {runner})]
    for slug, tests in record["claims"].items():
        wrong = [test for test, item in tests.items() if not set(locks(runner)) <= item["files"].keys()]
        if wrong:
            which = ", ".join(f"{slug}.{test}" for test in wrong)
            found.append(f"{name}: {which} was not recorded by a run of {runner}, which has {locks(runner)[0]}.")
        if runner != DEFAULT:  # which has more to keep
            found += [f"{name}: {sentence}" for sentence in _unknown(root, slug, tests, runner)]
    return found


def _misplaced(root: Path, runner: str, record: dict, now: Callable) -> dict[str, str]:
    """Question → one sentence, for what stands in another claim's place, or beside another question."""
    found, why = {}, "only a run writes a record (`make record`)."
    for slug in (slug for slug in slugs(root) if slug in record["claims"]):
        try:
            templates = {claim.test: claim.sentence for claim in claims(root, slug)}
            files = {study: now(slug, study, runner) for study in (False, True)}
        except Problem:
            continue  # reported with the question
        proof = f"tests/questions/test_{module(slug)}.py"
        tests = {test: item for test, item in record["claims"][slug].items() if test in templates}
        where = {test: f"{runner}: {slug}.{test}" for test in tests}
        wrong = [t for t, item in tests.items() if proof not in item["files"] or item.get("of", where[t]) != where[t]]
        if wrong:
            names = ", ".join(f"{slug}.{test}" for test in wrong)
            found[slug] = f"evidence/{runner}.json: {names} was recorded as something else: {why}"
            continue
        fresh = [t for t in tests if not stale(root, slug, tests[t], runner, files[tests[t].get("study", False)])]
        wrong = [test for test in fresh if not _says(tests[test], templates[test])]
        if wrong:
            names = ", ".join(f"{slug}.{test}" for test in wrong)
            found[slug] = f"evidence/{runner}.json: {names} says another sentence than its claim does: {why}"
            continue
        ran = {
            f"{name} {env[name]}, and {lock} is locked"
            for env in (ran_in(record, tests[test]) for test in fresh)
            for name, lock in locked(root, runner).items()
            if name in ("keras", env.get("backend")) and env.get(name, lock).partition("+")[0] != lock.partition("+")[0]
        }
        if ran:
            found[slug] = f"evidence/{runner}.json: {slug} ran with {enumeration(sorted(ran))}: {why}"
    for slug, programs in record.get("programs", {}).items():
        ours = [path.name for path in snippets(root, slug)]
        lost = [name for name in programs if name not in ours]
        if lost and (runner == DEFAULT or any((root / f"snippets/{name}").exists() for name in lost)):
            found[slug] = f"evidence/{runner}.json: {lost[0]} is timed as a program of {slug}, which it is not."
    return found


def _incomplete(root: Path, runner: str, record: dict, now: Callable) -> list[str]:
    """The claims that a record lacks of a question that it has as it is today: the run that wrote it had them all."""
    found = []
    for slug, tests in record["claims"].items():
        try:
            known = about(root, slug, runner) if slug in slugs(root) else []
            files = {study: now(slug, study, runner) for study in (False, True)} if known else {}
        except Problem:
            continue  # reported with the question
        short = {test: item for test, item in tests.items() if not item.get("study")}
        if known and short and not any(stale(root, slug, item, runner, files[False]) for item in short.values()):
            lacks = [f"{slug}.{test}" for test in known if test not in tests]
            if lacks:
                found.append(f"evidence/{runner}.json: {enumeration(lacks)} has no record: {_again(runner, slug)}.")
    return found


def _again(runner: str, slug: str = "") -> str:
    """How a runner's record is written again."""
    device, _, backend = runner.rpartition("-")
    asked = [f"Q={slug}"] * bool(slug) + ["RUNNER=gpu"] * (device != "cpu")
    asked += [f"BACKEND={backend}"] * (backend != "tensorflow")
    return f"run `{' '.join(['make record', *asked])}`"


def _says(item: dict, template: str) -> bool:
    try:
        return item["sentence"] == sentence(template, {name: Value(**v) for name, v in item["values"].items()})
    except Problem:
        return False


def _unknown(root: Path, slug: str, tests: dict, runner: str) -> list[str]:
    """The claims in a record that do not exist."""
    again = "a run that records takes it out (`make record`)."
    if slug not in slugs(root):
        proof = root / f"tests/questions/test_{module(slug)}.py"
        return [] if proof.exists() else [f"{slug} is recorded, but there is no such question: {again}"]
    try:
        known, now = [c.test for c in claims(root, slug)], about(root, slug, runner)
        gone = [test for test in tests if test not in known]
        apart = [t for t, item in tests.items() if t not in (*now, *gone) and not stale(root, slug, item, runner)]
    except Problem:
        return []  # reported with the question
    return [f"{slug}.{test} is recorded, but there is no such claim: {again}" for test in gone] + [
        f"{slug}.{test} is recorded, but it is not about this runner or not to hold in its versions: {again}"
        for test in apart
    ]


def _edited(runner: str, record: dict) -> dict[str, str]:
    """Question → one sentence, for what somebody other than a run wrote; the environment has no question."""
    found, why = {}, "was edited by hand: only a run writes a record (`make record`)."
    if record["environment"].get("seal") != seal(record["environment"]):
        found[""] = f"evidence/{runner}.json: the environment {why}"
    for slug, tests in record["claims"].items():
        wrong = [test for test, item in tests.items() if item["seal"] != seal(item)]
        if wrong:
            found[slug] = f"evidence/{runner}.json: {', '.join(f'{slug}.{test}' for test in wrong)} {why}"
    for slug, programs in record.get("programs", {}).items():
        wrong = [name for name, item in programs.items() if item["seal"] != seal(item)]
        if wrong and slug not in found:
            found[slug] = f"evidence/{runner}.json: the time of {', '.join(wrong)} {why}"
    return found


def _lags(root: Path, slug: str, record: dict, now: Callable) -> list[str]:
    """What the default record lacks of a question, or has too much."""
    again, old = f"run `make record Q={slug}`.", record["claims"].get(slug, {})
    if slug not in slugs(root):
        proof = root / f"tests/questions/test_{module(slug)}.py"
        return [] if proof.exists() else [f"{slug} is recorded, but there is no such question: run `make record`."]
    try:
        known = about(root, slug, DEFAULT)
        now(slug)
    except Problem:
        return []  # reported with the question
    if not all((root / path).exists() for path in rooms(slug)):
        return []  # so is this
    if not old:
        return [f"there is no record of {slug}: {again}"]
    changed = sorted({f for i in old.values() for f in stale(root, slug, i, DEFAULT, now(slug, i.get("study", False)))})
    if changed:
        return [f"the record of {slug} is stale: {', '.join(changed)} changed since; {again}"]
    found = [f"{slug}.{test} has no record: {again}" for test in known if test not in old]
    found += [f"{slug}.{test} is recorded, but there is no such claim: {again}" for test in old if test not in known]
    found += [f"{slug}.{t} is recorded as {i['outcome']}." for t, i in old.items() if i["outcome"] != "passed"]
    return found


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _not_zero(x: float, spec: str) -> str:
    """A number in its format, with more digits where it would be shown as a zero that it is not."""
    text = format(x, spec)
    fixed = re.fullmatch(r"(\+?)\.(\d)f", spec)
    for digits in range(int(fixed[2]) + 1, int(fixed[2]) + 4) if fixed and x else ():
        if float(text):
            break
        text = format(x, f"{fixed[1]}.{digits}f")
    return text


def _minus(text: str) -> str:
    # a typographic minus before digits, as in the rest of the prose
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)
