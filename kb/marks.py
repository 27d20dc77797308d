"""What ran where, as pages say it: the marks of a claim, the line below an answer, and the page `verified`.

A mark is a kind and its words: `verified`, `stale` (it passed before the last change), `failed`, `none` (not run yet),
`apart` (about another backend, or other versions). Runners of which all is alike share one.
"""

import itertools
import re
from pathlib import Path

from packaging.requirements import Requirement

from kb import evidence
from kb.question import BACKENDS, Claim, Question, enumeration, holds_in, locked

Mark = tuple[str, str]
PACKAGES = {"keras": "Keras", "tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
KINDS = ("verified", "stale", "failed", "none")


class Marks:
    """The records of all runners against the files of today."""

    def __init__(self, root: Path, questions: dict[str, Question], claims: dict[str, list[Claim]], go_on=lambda: None):
        self.root, self.questions, self.claims = root, questions, claims
        self.records = {runner: evidence.load(root, runner) for runner in evidence.runners(root)}
        self.locked = {runner: locked(root, runner) for runner in self.records}
        self.hashes = evidence.today(root)
        for runner, slug in itertools.product(self.records, questions):
            go_on()
            self.hashes(slug, False, runner)  # as they are now, not when a page asks
        self.known: dict[tuple, tuple[str, dict]] = {}
        compared = list(evidence.comparisons(root, self.records, self.hashes))
        self.disagreements, self.compared = evidence.disagreements(compared), len(compared)

    def status(self, runner: str, slug: str, test: str) -> tuple[str, dict]:
        """verified, stale, failed or none, and the record's entry."""
        asked = runner, slug, test
        if asked not in self.known:
            self.known[asked] = self._status(*asked)
        return self.known[asked]

    def _status(self, runner: str, slug: str, test: str) -> tuple[str, dict]:
        item = self.records.get(runner, {}).get("claims", {}).get(slug, {}).get(test)
        if not item:
            return "none", {}
        if item["outcome"] != "passed":
            return "failed", item
        now = self.hashes(slug, item.get("study", False), runner)
        return ("stale" if evidence.stale(self.root, slug, item, runner, now) else "verified"), item

    def _is_about(self, claim: Claim, runner: str) -> bool:
        return claim.is_about(runner, self.locked[runner])

    def is_proven(self, slug: str, test: str) -> bool:
        """Whether a claim is verified on the default runner, or on another if it is about another backend."""
        claim = next(c for c in self.claims[slug] if c.test == test)
        about = [r for r in self.records if self._is_about(claim, r)]
        asked = [evidence.DEFAULT] if evidence.DEFAULT in about else about
        return any(self.status(runner, slug, test)[0] == "verified" for runner in asked)

    def entry(self, slug: str, test: str) -> dict:
        """A claim's entry in the first record that has one."""
        return next((item for r in self.records if (item := self.status(r, slug, test)[1])), {})

    def sentence(self, slug: str, claim: Claim) -> str:
        """A claim's sentence with what the first runner that has it measured."""
        if recorded := self.entry(slug, claim.test).get("sentence"):
            return recorded
        holes = re.sub(r"\{[^{}]*\}", "…", claim.sentence)
        now = not claim.holds or any(holds_in(claim.holds, found.get) for found in self.locked.values())
        why = "not measured yet" if now else "not measured in the versions of today, in which it does not hold"
        return holes if holes == claim.sentence else f"{holes.rstrip('.')} ({why})."

    def name(self, runner: str, item: dict) -> str:
        """Where an entry was measured: `CPU, TensorFlow 2.21.0, Keras 3.15.1`."""
        env = evidence.ran_in(self.records[runner], item)
        backend = runner.rpartition("-")[2]
        versions = f"{BACKENDS[backend]} {env.get(backend, '')}".strip()
        return f"{self._device(runner)}, {versions}" + (f", Keras {env['keras']}" if "keras" in env else "")

    # ------------------------------------------------------------------------------- on a question page

    def of(self, slug: str, claim: Claim, page: str = "") -> list[Mark]:
        """The marks of a claim: where it holds, where not, and where it was not asked. `page` leads to its question."""
        groups: dict[tuple, list[str]] = {}
        for runner in self.records:
            device, backend = self._device(runner), runner.rpartition("-")[2]
            if self._is_about(claim, runner):
                kind, item = self.status(runner, slug, claim.test)
                groups.setdefault((kind, device, item.get("date", "")), []).append(BACKENDS[backend])
        marks = []
        for (kind, device, day), backends in sorted(groups.items(), key=lambda group: KINDS.index(group[0][0])):
            where = f"{device} with {enumeration(backends)}"
            words = {
                "verified": f"Verified on {where}, {day}",
                "stale": f"Verified on {where}, {day}, before the last change",
                "failed": f"Does not hold on {where}, {day}",
                "none": f"Not verified yet on {where}",
            }
            marks.append((kind, words[kind]))
        if claim.device == "gpu" and not groups:
            marks.append(("none", "Measured on a GPU only, and not yet"))
        if claim.device == "cpu":
            marks.append(("apart", "About a processor, and not asked of a GPU"))
        if claim.only:
            about = enumeration([BACKENDS[backend] for backend in claim.only])
            marks.append(("apart", f"About {about} alone: {claim.only_why}"))
        if claim.holds:
            marks.append(("apart", f"Holds {' and '.join(map(_range, claim.holds))}: {claim.holds_why}"))
        apart = {d.name: d for d in self.disagreements if d.slug == slug and d.claim.test == claim.test}
        for name, d in apart.items():
            why = f", as [another claim]({page}#{claim.differs_see}) says" if d.is_explained else ""
            marks.append(("apart", f"Runners disagree on {name.replace('_', ' ')}{why}"))
        return marks

    def versions(self, slug: str) -> str:
        """What ran a question's claims and on what, in one sentence:
        `TensorFlow 2.21.0 and JAX 0.10.2, each with Keras 3.15.1, on AMD EPYC with 2 cores`.
        """
        ran = [env for record in self.records.values() for env in evidence.environments(record, [slug])]
        backends = dict.fromkeys(f"{BACKENDS[b]} {e[b]}" for e in ran if (b := e.get("backend")) and b in e)
        keras = dict.fromkeys(e["keras"] for e in ran if "keras" in e)
        devices = dict.fromkeys(e["device"].replace(", ", " with ") for e in ran if "device" in e)
        words = enumeration(list(backends))
        words += f"{', each' * (len(backends) > 1)} with Keras {enumeration(sorted(keras))}" if keras else ""
        return words + (f", on {enumeration(list(devices))}" if devices else "")

    def verdict(self, slug: str) -> Mark:
        """One line below the answer: how many claims, where they passed, when."""
        counts = {runner: self._count(runner, slug) for runner in self.records}
        fresh, count, _ = counts.get(evidence.DEFAULT, (0, len(self.claims[slug]), ""))
        if fresh < count:
            return "stale", f"{fresh} of {count} claims verified since their last change"
        whole = [runner for runner, (fresh, count, _) in counts.items() if fresh == count]
        by_device: dict[str, list[str]] = {}
        for runner in whole:
            by_device.setdefault(self._device(runner), []).append(BACKENDS[runner.rpartition("-")[2]])
        where = " and ".join(f"{device} with {enumeration(backends)}" for device, backends in by_device.items())
        waiting = sum(claim.device == "gpu" and not self.entry(slug, claim.test) for claim in self.claims[slug])
        later = f"; {waiting} wait{'s' * (waiting == 1)} for a GPU" if waiting else ""
        # a claim about a backend that has not run it is not verified
        count = sum(any(self.status(r, slug, c.test)[0] == "verified" for r in whole) for c in self.claims[slug])
        words = f"{count} claim{'s' * (count != 1)} verified on {where}"
        return "verified", f"{words}, {max(counts[r][2] for r in whole)}{later}"

    def _count(self, runner: str, slug: str) -> tuple[int, int, str]:
        """How many claims of a question are verified on a runner, of how many that are about it, and the last day."""
        asked = [c for c in self.claims[slug] if self._is_about(c, runner)]
        found = [self.status(runner, slug, claim.test) for claim in asked]
        return (
            sum(kind == "verified" for kind, _ in found),
            len(asked),
            max((i.get("date", "") for _, i in found), default=""),
        )

    def _short(self, runner: str) -> str:
        device = "" if runner.startswith("cpu-") else f"{self._device(runner)} "
        return device + BACKENDS[runner.rpartition("-")[2]]

    def _device(self, runner: str) -> str:
        return "CPU" if runner.startswith("cpu-") else self.records[runner]["environment"].get("device", runner)

    def timing(self, slug: str, test: str) -> str:
        """What a claim about a GPU measured on each that ran it, or that none did."""
        lines = []
        for runner in self.records:
            kind, item = self.status(runner, slug, test)
            if item:
                when = f", {item['date']}{', before the last change' * (kind == 'stale')}"
                lines.append(f"- **{self.name(runner, item)}{when}:** {item['sentence']}")
        return "\n".join(lines) or "*Not measured yet: this takes a run on a GPU, and none has been recorded.*"

    # ------------------------------------------------------------------------------- the page `verified`

    def runners_table(self) -> str:
        """Each runner with its machines and versions, and how many claims hold there."""
        rows = ["| runner | machine | versions | last run | claims |", "| --- | --- | --- | --- | --- |"]
        for runner, record in self.records.items():
            asked = [(slug, c.test) for slug in self.questions for c in self.claims[slug] if self._is_about(c, runner)]
            found = [self.status(runner, *claim) for claim in asked]
            for env in evidence.environments(record):
                versions = [f"{PACKAGES[p]} {env[p]}" for p in (env["backend"], "keras") if p in env]
                versions += [f"Python {env['python']}"] if "python" in env else []
                versions += [f"driver {env['driver']}, CUDA {env['cuda']}"] if "driver" in env else []
                here = [(kind, item["date"]) for kind, item in found if item and evidence.ran_in(record, item) == env]
                rows.append(
                    f"| {self._device(runner)}, {BACKENDS[env['backend']]} "
                    f"| {env.get('device', '')}, {env.get('system', '')} "
                    f"| {', '.join(versions)} | {max((day for _, day in here), default='')} "
                    f"| {sum(kind == 'verified' for kind, _ in here)} of {len(asked)} verified |"
                )
        gpus = [runner for runner in self.records if not runner.startswith("cpu-")]
        note = "" if gpus else "\n\nNo run on a GPU has been recorded yet."
        return "\n".join(rows) + note

    def disagreement_list(self) -> str:
        """What two runners measured differently, and the claim that says why."""
        compared = self.compared
        if not compared:
            return "No claim is verified on two runners since its last change, so there is nothing to compare."
        if not self.disagreements:
            return f"Nothing: in {compared} comparisons of a claim on two runners, all values agree."
        lines = [f"Of {compared} comparisons of a claim on two runners, in these the values differ:", ""]
        for d in self.disagreements:
            where = f"questions/{d.slug}.md"
            both = enumeration([f"{self._device(r)} with {BACKENDS[r.rpartition('-')[2]]}" for r in d.runners])
            why = f", as [another claim]({where}#{d.claim.differs_see}) says" if d.is_explained else ", unexplained"
            values = " and ".join(f"{v:.4g}" if isinstance(v, float) else f"`{v}`" for v in d.values)
            lines.append(
                f"- [{self.questions[d.slug].question}]({where}#{d.claim.test}) "
                f"{d.name.replace('_', ' ')}: {values} on {both}{why}"
            )
        return "\n".join(lines)

    def claim_list(self, show) -> str:
        """Every claim by question: the marks that most share stand once, at its head; `show` renders them."""
        parts = []
        for slug, q in self.questions.items():
            marks = [(claim, self.of(slug, claim, f"questions/{slug}.md")) for claim in self.claims[slug]]
            kinds = [tuple(found) for _, found in marks]
            shared = max(kinds, key=kinds.count)
            counts = [(runner, *self._count(runner, slug)) for runner in self.records]
            text = ", ".join(f"{self._short(runner)} {fresh} of {count}" for runner, fresh, count, _ in counts)
            kind = "verified all" if all(fresh == count for _, fresh, count, _ in counts) else "stale some"
            summary = f"{q.question} {show([(kind, text)])}"
            parts.append(f'<details class="claims" markdown><summary>{summary}</summary>\n')
            parts.append(f"[The answer](questions/{slug}.md). Unless a line says otherwise: {show(shared)}\n")
            for claim, found in marks:
                own = f" {show(found)}" if tuple(found) != shared else ""
                parts.append(f"- [{self.sentence(slug, claim)}](questions/{slug}.md#{claim.test}){own}")
            parts.append("\n</details>\n")
        return "\n".join(parts)


def _range(text: str) -> str:
    """`keras>=3.0,<3.16` in words: `from Keras 3.0 on, before 3.16`."""
    wanted = Requirement(text)
    name, parts = PACKAGES.get(wanted.name, wanted.name), []
    for spec in sorted(wanted.specifier, key=lambda s: (">=", ">", "==", "!=", "<=", "<").index(s.operator)):
        words = {
            ">=": "from {} on",
            ">": "after {}",
            "==": "in {}",
            "!=": "not in {}",
            "<=": "up to {}",
            "<": "before {}",
        }
        version = f"{name} {spec.version}" if not parts else spec.version
        parts.append(words[spec.operator].format(version))
    return ", ".join(parts) or f"in every {name}"
