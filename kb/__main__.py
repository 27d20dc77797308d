"""`python -m kb check` finds all that can be found without running anything; `python -m kb new "…?"` makes the rooms
of a new question; `python -m kb changed main` lists the questions that this branch touches. `wait` is for `make serve`.
"""

import argparse
import datetime
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from kb import answers, changed, evidence, question
from kb import check as static

ROOT = Path(__file__).parent.parent
STATIC = (
    "tests/authoring/test_static.py",
    "tests/authoring/test_outputs.py",
    "tests/test_answers.py",
    "tests/test_assembly.py",
    "tests/test_build.py",
    "tests/test_changed.py",
    "tests/test_compare.py",
    "tests/test_evidence.py",
    "tests/test_pages.py",
    "tests/test_quick.py",
    "tests/test_sides.py",
    "tests/test_zensical.py",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kb", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="lint, prose, links, evidence, pages")
    made = commands.add_parser("new", help="make the rooms of a new question")
    made.add_argument("question")
    made.add_argument("slug", nargs="?", help="its name, if it is not to be made of the question")
    touched = commands.add_parser("changed", help="the questions that this branch touches, as JSON")
    touched.add_argument("base", nargs="?", help="a branch or commit; without it, every question")
    touched.add_argument("--shards", type=int, help="as at most so many lists for `make verify Q=…`")
    commands.add_parser("dates", help="note today as the day of each answer that changed")
    wait = commands.add_parser("wait", help="say where the site is once it is served")
    wait.add_argument("port", type=int)
    wait.add_argument("server", type=int)
    arguments = parser.parse_args()
    if arguments.command == "new":
        return new(ROOT, arguments.question, arguments.slug)
    if arguments.command == "changed":
        return say_what_changed(ROOT, arguments.base, arguments.shards)
    if arguments.command == "dates":
        return say_whose_dates(ROOT)
    if arguments.command == "wait":
        return say_when_served(arguments.port, arguments.server)
    return check(ROOT)


def check(root: Path) -> int:
    """Run every check that needs no TensorFlow, the slow ones side by side; print what is wrong and count it."""
    run = [sys.executable, "-m"]
    forms = [str(root / f".github/ISSUE_TEMPLATE/{name}.yml") for name in ("question", "wrong")]
    workflows = sorted(str(p.relative_to(root)) for p in (root / ".github/workflows").glob("*.yml"))
    tools = {
        "pages build": [*run, "kb.start", "--quiet", "build", "--site-dir", str(root / ".cache/check")],
        "bad input": [*run, "pytest", "-q", "-o", "addopts=", "-o", "timeout=", *STATIC],
        "code": [*run, "ruff", "check", "--quiet", "."],
        "format": [*run, "ruff", "format", "--check", "--quiet", "."],
        "spelling": [*run, "codespell_lib", "docs", "README.md", "CHANGELOG.md", "snippets", "kb", "tests"],
        "workflows": [*run, "check_jsonschema", "--quiet", "--builtin-schema", "vendor.github-workflows", *workflows],
        "issue forms": [*run, "check_jsonschema", "--quiet", "--builtin-schema", "vendor.github-issue-forms", *forms],
        "workflow security": ["zizmor", "--offline", "--quiet", "--no-progress", ".github/workflows"],
    }
    tools["workflow security"][0] = str(Path(sys.executable).parent / "zizmor")
    started = {
        name: subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name, command in tools.items()
    }
    found = static.problems(root) + evidence.problems(root) + answers.problems(root)
    for problem in found:
        print(problem)
    failed = ["questions and evidence"] if found else []
    for name, process in started.items():
        output, _ = process.communicate()
        dead = static.dead_links(root / ".cache/check") if name == "pages build" and not process.returncode else []
        if dead:
            failed.append(name)
            print("\n".join(dead))
        if process.returncode and not (found and name == "pages build"):  # it stops for the same reason
            failed.append(name)
            print(f"\n{name}:\n{output.strip()}")
    names = ["questions and evidence", *tools]
    print(
        f"\nmake check: {len(failed)} of {len(names)} checks failed: {', '.join(failed)}"
        if failed
        else f"make check: {len(names)} checks passed ({', '.join(names)})"
    )
    return bool(failed)


PAGE = """---
question: {question}
answer: >
  Write the answer here, in two sentences at most. The first one answers.
also_asked:
  - {question}
level: start
topic: placement  # or {topics}
references: []
related: []
---

## The code

```python
--8<-- "snippets/{name}.py"
```

## Why

Write why.

## When it does not hold

Write when it does not hold.

## Commonly said, and wrong

> Write the mistake here, in your own words.

Write what is true instead: {{{{ proof test_the_mistake_shows_its_symptom }}}}.

```python
--8<-- "snippets/{name}_wrong.py"
```
"""
SNIPPET = '''"""{first}"""

import keras

keras.utils.set_random_seed(0)
layer = keras.layers.Dropout(0.5)
print("trainable weights:", len(layer.trainable_weights))
#> trainable weights: 0
'''
PROOF = '''"""{question}"""

import pytest


def test_the_answer_holds(claim):
    """Write the sentence that the page shows."""
    pytest.fail("the claim is not written yet: measure something with claim.exact, close, sampled or trained.")


def test_the_mistake_shows_its_symptom(claim, program):
    """The wrong twin: write the symptom that the mistake shows."""
    pytest.fail("the wrong twin is not written yet: run it with `program` and measure it.")
'''


def new(root: Path, text: str, slug: str | None = None) -> int:
    """Make page, snippet, wrong twin and failing proof of a question. Refuses to overwrite anything."""
    text = " ".join(text.split())
    if not text.endswith("?") or len(text) < 10:
        print('a question ends with a question mark: make new Q="Does dropout …?"')
        return 2
    small = {
        "a",
        "an",
        "the",
        "do",
        "does",
        "i",
        "is",
        "it",
        "to",
        "of",
        "in",
        "on",
        "my",
        "what",
        "how",
        "can",
        "should",
    }
    words = [w for w in re.findall(r"[a-z0-9]+", text.lower()) if w not in small]
    slug = slug or "-".join(words[:4]) or "question"
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug):
        print(f"`{slug}` is no name: use small letters, digits and hyphens, such as SLUG=input-dtype")
        return 2
    name = question.module(slug)
    rooms = {
        f"docs/questions/{slug}.md": PAGE.format(
            question=json.dumps(text, ensure_ascii=False),
            name=name,
            topics=", ".join(t for t in question.TOPICS if t != "placement"),
        ),
        f"snippets/{name}.py": SNIPPET.format(first="What the program shows."),
        f"snippets/{name}_wrong.py": SNIPPET.format(first="The mistake: what it is."),
        f"tests/questions/test_{name}.py": PROOF.format(question=text, name=name),
    }
    taken = [path for path in rooms if (root / path).exists()]
    if taken:
        print(f"{taken[0]} exists already, and nothing was changed")
        return 2
    for path, content in rooms.items():
        (root / path).write_text(content, encoding="utf-8")
        print(path)
    print(f"\nwrite the claims first, then: make update Q={slug}, make verify Q={slug}, make record Q={slug}")
    return 0


def say_what_changed(root: Path, base: str | None, count: int | None) -> int:
    """Print the questions whose files differ from `base`, or all, as JSON: a list, or one of lists for `Q=…`."""
    try:
        asked = changed.touched(root, changed.changed_files(root, base)) if base else question.slugs(root)
    except question.Problem as problem:
        print(problem, file=sys.stderr)
        return 2
    print(json.dumps(changed.shards(asked, count) if count else asked))
    return 0


def say_whose_dates(root: Path) -> int:
    """Note today as the day of each answer that changed, and print the questions."""
    try:
        new = answers.renew(root, datetime.date.today().isoformat())
    except question.Problem as problem:
        print(problem)
        return 2
    print(f"{answers.NAME}: {', '.join(new) or 'no answer has changed'}")
    return 0


def say_when_served(port: int, server: int) -> int:
    """Print the address once the server answers; end when it has ended."""
    start = time.monotonic()
    while time.monotonic() - start < 120:
        try:
            os.kill(server, 0)
        except OSError:
            return 1
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                print(f"serving http://127.0.0.1:{port}/ (stop with Ctrl+C)", flush=True)
                return 0
        time.sleep(0.1)
    return 1


if __name__ == "__main__":
    sys.exit(main())
