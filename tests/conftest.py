"""`project`: a complete project with one small question, whole again for each test that damages it."""

import json
import os
from pathlib import Path

import pytest

from kb import answers, check, evidence, question

PAGE = """---
question: Does half of the units stay?
answer: >
  Yes, half of them. The other half goes.
also_asked:
  - How many units stay?
level: start
topic: rate
references: [author2014half]
related: []
---

## The code

```python
--8<-- "snippets/half.py"
```

## Why

A share of {{ half.share:.2f }} stays, as [the home page](../index.md) says, and as its authors found [@author2014half].

![A line that falls from one to zero](../assets/line.svg)

## When it does not hold

It holds.

## Commonly said, and wrong

> All of them stay.

Half of them do: {{ proof test_half_of_them_stay }}.

```python
--8<-- "snippets/half_wrong.py"
```
"""
SNIPPET = '''"""Half of the units stay."""

units = list(range(10))
kept = units[::2]
print(f"share kept: {len(kept) / len(units):.2f}")
#> share kept: 0.50
'''
WRONG = '''"""The mistake: all of the units stay."""

kept = list(range(10))
print(len(kept), "units kept")
#> 10 units kept
'''
PROOF = '''"""Does half of the units stay?"""


def test_half_of_them_stay(claim):
    """A share of {share:.2f} of the units stays."""
    claim.close("share", 0.5, 0.5, 0.01)


def test_the_mistake_keeps_all(claim):
    """The wrong twin: all {units} units stay."""
    claim.exact("units", 10, 10)
'''
BIBLIOGRAPHY = """@article{author2014half,
  author  = {Author, An},
  title   = {Half of It},
  journal = {Journal of Halves},
  year    = {2014},
  url     = {https://example.org/half},
}
"""
SVG = """<svg width="70pt" height="70pt">
<path d="M 10 10 L 60 60" style="stroke: #0b62c4"/>
<text x="10" y="68">0.50</text>
</svg>"""
PROOF_NAME = "tests/questions/test_half.py"
CELLS = [
    ("markdown", "# Half of the units\n\nWhat [the answer](../docs/questions/half.md) says, step by step.", None),
    ("code", 'share = 5 / 10\nprint(f"share kept: {share:.2f}")', {"text/plain": "share kept: 0.50\n"}),
    (
        "code",
        "#| fig-alt: A line that falls from one to zero.\n"
        f'from IPython.display import SVG, display\n\ndisplay(SVG("""{SVG}"""))',
        {"image/svg+xml": SVG},
    ),
]
VALUES = {
    "test_half_of_them_stay": {"share": evidence.Value("close", 0.5, 0.5, tolerance=0.01)},
    "test_the_mistake_keeps_all": {"units": evidence.Value("exact", 10, 10)},
    "test_it_takes_a_while": {"ms": evidence.Value("timed", 1.5, low=1.4, high=1.6, n=20)},
}
ENVIRONMENT = {"device": "a processor", "backend": "tensorflow", "python": "3.12.0", "tensorflow": "2.21.0"}
ENVIRONMENTS = {
    "cpu-tensorflow": ENVIRONMENT,
    "cpu-jax": {"device": "a processor", "backend": "jax", "python": "3.12.0", "jax": "0.10.2"},
    "a-gpu-torch": {"device": "A GPU", "backend": "torch", "torch": "2.13.0", "driver": "600.1", "cuda": "13.0"},
}


class Project:
    """A folder with one question in all its rooms."""

    def __init__(self, root: Path):
        self.root = root
        rooms = {
            "docs/index.md": "# Home\n",
            "docs/assets/line.svg": SVG,
            "docs/references.bib": BIBLIOGRAPHY,
            "docs/questions/half.md": PAGE,
            "snippets/half.py": SNIPPET,
            "snippets/half_wrong.py": WRONG,
            "tests/questions/test_half.py": PROOF,
            "notebooks/figures.mplstyle": "font.size: 10\n",
            **{f"requirements/{name}.txt": "nothing==1.0\n" for name in ("test", "gpu-torch")},
        }
        for name, text in rooms.items():
            self.write(name, text)
        self.write_notebook(*(_cell(i, *cell) for i, cell in enumerate(CELLS)))
        self.record()
        answers.renew(self.root, "2026-01-01")
        self.whole = self.files()

    def repair(self) -> None:
        """Make every file again what it was."""
        now = self.files()
        for name in now.keys() - self.whole.keys():
            self.remove(name)
        for name, content in self.whole.items():
            if now.get(name) != content:
                self.write(name, content)

    def write(self, name: str, content: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands once in a file."""
        assert self.read(name).count(old) == 1
        self.write(name, self.read(name).replace(old, new))

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def notebook(self) -> dict:
        return json.loads(self.read("notebooks/half.ipynb"))

    def write_notebook(self, *cells: dict, kernel: str = "python3") -> None:
        metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": kernel}}
        notebook = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        self.write("notebooks/half.ipynb", json.dumps(notebook, indent=1))

    def edit_cell(self, number: int, **fields) -> None:
        """Change fields of a notebook's cell; cells are counted from one."""
        cells = self.notebook()["cells"]
        cells[number - 1] |= fields
        self.write_notebook(*cells)

    def record(self, runner: str = evidence.DEFAULT, **changed: evidence.Value) -> None:
        """Write the evidence, as a run would that measured the `changed` values."""
        lock = question.locks(runner)[0]
        if not (self.root / lock).exists():
            self.write(lock, "nothing==1.0\n")
        measured = {test: v | {k: x for k, x in changed.items() if k in v} for test, v in VALUES.items()}
        claims = question.claims(self.root, "half")
        made = {
            c.test: evidence.entry(
                self.root,
                "half",
                evidence.sentence(c.sentence, measured.get(c.test, {})),
                outcome="passed",
                day="2026-01-01",
                seconds=0.1,
                values=measured.get(c.test, {}),
                runner=runner,
                test=c.test,
            )
            for c in claims
        }
        evidence.write(self.root, runner, ENVIRONMENTS[runner], {"half": made}, whole=True)

    def edit_record(self, change, runner: str = evidence.DEFAULT) -> None:
        """Let `change` loose on the record, as a hand would: the seals stay as they are."""
        name = f"evidence/{runner}.json"
        record = json.loads(self.read(name))
        change(record)
        self.write(name, json.dumps(record))

    def files(self) -> dict[str, bytes]:
        """Every file and what is in it."""
        found = {}
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name != "__pycache__"]
            inside = os.path.relpath(folder, self.root)
            found |= {f"{inside}/{name}".removeprefix("./"): Path(folder, name).read_bytes() for name in names}
        return found

    def problems(self) -> list[str]:
        """What is wrong and can be seen without running anything. Looking changes no file."""
        before = self.files()
        found = check.problems(self.root) + evidence.problems(self.root)
        assert self.files() == before
        return found

    def add_claim(self, test: str, measured: dict[str, evidence.Value]) -> None:
        """A claim more, and its record."""
        self.write(
            PROOF_NAME, self.read(PROOF_NAME) + f'\n\ndef {test}(claim):\n    """It holds."""\n    claim.exact()\n'
        )
        VALUES[test] = measured
        self.record()
        del VALUES[test]

    def refuses(self, place: str, why: str) -> None:
        """There is exactly one problem, at `place`, and it is one plain sentence that says `why`."""
        found = self.problems()
        assert len(found) == 1, found
        is_one_sentence(found[0], place, why)


def _cell(number: int, kind: str, source: str, output: dict | None) -> dict:
    cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source}
    if kind == "markdown":
        return cell
    if "text/plain" in output:
        made = {"output_type": "stream", "name": "stdout", "text": output["text/plain"]}
    else:
        made = {"output_type": "display_data", "data": output, "metadata": {}}
    return cell | {"execution_count": number, "outputs": [made]}


def is_one_sentence(problem: str, place: str, why: str) -> None:
    """One line that begins with the place, says why, ends with a full stop and shows no traceback."""
    assert problem.startswith(f"{place}: "), problem
    assert why in problem, problem
    assert problem.endswith(".") and not problem.endswith(".."), problem
    assert "\n" not in problem and "Traceback" not in problem and "Error(" not in problem, problem


@pytest.fixture(scope="session")
def whole_project(tmp_path_factory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(whole_project) -> Project:
    whole_project.repair()
    return whole_project


@pytest.fixture
def one_sentence():
    return is_one_sentence
