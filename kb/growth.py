"""Make a site of as many questions as wanted, to see what grows with them.

Each is one of the real questions under another name, in all its rooms, with half of its longer words exchanged for
others of the site, as often as these occur there: so no two pages say the same, and all are as long as real ones.
"""

import json
import random
import re
import shutil
from pathlib import Path

from kb import answers, evidence
from kb import question as rooms

ROOT = Path(__file__).parent.parent
KEPT = re.compile(  # code, placeholders, citations, targets of links, formulas, headings, figures, fields, tags
    r"^```.*?^```$|`[^`\n]+`|\{\{.*?\}\}|\[@[^\]]*\]|\]\([^)]*\)|\$[^$]+\$|^(?:#+ |!)[^\n]*"
    r"|^(?:level|topic|references|related):[^\n]*|^\w+:|<[^>]+>|\{[^}\n]*\}",
    re.MULTILINE | re.DOTALL,
)
ELSEWHERE = re.compile(r"\(?\{\{ proof [a-z0-9-]+\..*?\}\}\)?")  # another question's proof
ALIKE = ("index", "glossary", "references", "verified", "contributing")  # pages that any such site has
WORD = re.compile(r"\b[a-z]{5,}\b")


def make(folder: Path, count: int) -> list[str]:
    """A copy of the project with `count` questions, each with a notebook, instead of the real ones; their names."""
    for name in ("kb", "theme", "requirements", "snippets", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "questions"))
    for name in ("docs/questions", "notebooks", "tests/questions", "evidence"):
        (folder / name).mkdir(parents=True)
    shutil.copy(ROOT / "notebooks/figures.mplstyle", folder / "notebooks")
    for path in (folder / "docs").glob("*.md"):
        if path.stem not in ALIKE:
            path.unlink()  # it speaks of the real questions
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").replace(": warn", ": ignore")
    settings = re.sub(rf"^  - .*: (?!{'|'.join(ALIKE)})[\w-]+\.md\n", "", settings, flags=re.MULTILINE)
    (folder / "mkdocs.yml").write_text(settings, encoding="utf-8")

    real = [slug for slug in rooms.slugs(ROOT) if (ROOT / f"notebooks/{slug}.ipynb").exists()]
    pages = {slug: (ROOT / f"docs/questions/{slug}.md").read_text(encoding="utf-8") for slug in real}
    others = [word for page in pages.values() for piece in KEPT.split(page) for word in WORD.findall(piece)]
    record, dice = evidence.load(ROOT), random.Random(0)
    names = [f"q{i:04}-{real[i % len(real)]}" for i in range(count)]
    for name in names:
        slug, module, new = name[6:], rooms.module(name[6:]), rooms.module(name)
        page = ELSEWHERE.sub("", pages[slug]).replace(f'"snippets/{module}', f'"snippets/{new}')
        (folder / f"docs/questions/{name}.md").write_text(_varied(page, others, dice), encoding="utf-8")
        for path in rooms.snippets(ROOT, slug):
            shutil.copy(path, folder / f"snippets/{new}{path.name.removeprefix(module)}")
        shutil.copy(ROOT / f"tests/questions/test_{module}.py", folder / f"tests/questions/test_{new}.py")
        notebook = json.loads((ROOT / f"notebooks/{slug}.ipynb").read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = _varied("".join(cell["source"]), others, dice)
        (folder / f"notebooks/{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        record["claims"][name] = record["claims"].get(slug, {})
    evidence.record_path(folder).write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    answers.renew(folder, "2026-01-01")
    return names


def _varied(text: str, others: list[str], dice: random.Random) -> str:
    """Half of the longer words of a text exchanged, outside of what must stay."""

    def other(match: re.Match) -> str:
        return dice.choice(others) if dice.random() < 0.5 else match[0]

    pieces, last = [], 0
    for kept in KEPT.finditer(text):
        pieces += [WORD.sub(other, text[last : kept.start()]), kept[0]]
        last = kept.end()
    return "".join([*pieces, WORD.sub(other, text[last:])])
