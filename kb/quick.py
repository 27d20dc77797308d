"""Under `make serve`: an edit of a page's text builds that page alone, so that it shows at once on a large site too.

Every other change, also one of a page's front matter, builds everything. What is made of all pages, such as the search
index, follows with the next of these.
"""

import re
from pathlib import Path

from mkdocs.commands.build import _build_page, _populate_page
from mkdocs.structure.files import Files

POLL = 0.2  # seconds between two looks at the files
FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)
SHARED = ("glossary.md",)  # pages whose text others show too


class Builder:
    """What the server calls after a change: `everything` is MkDocs' own build, `one` builds one page of docs/."""

    def __init__(self, docs: Path, watched: list[str], everything, one):
        self.docs, self.everything, self.one = docs, everything, one
        self.watched = [Path(path) for path in watched]
        self.seen, self.fronts = self._look(), self._front_matter()

    def __call__(self) -> None:
        before, self.seen = self.seen, self._look()
        changed = [path for path in before.keys() | self.seen.keys() if before.get(path) != self.seen.get(path)]
        if len(changed) == 1 and self._is_text(changed[0]):
            self.one(changed[0].relative_to(self.docs).as_posix())
        else:
            self.everything()
            self.fronts = self._front_matter()

    def _look(self) -> dict[Path, tuple[int, int]]:
        """Each watched file's time and size."""
        files = [p for top in self.watched for p in (top.rglob("*.*") if top.is_dir() else [top])]
        return {p: (s.st_mtime_ns, s.st_size) for p in files for s in [p.stat()]}

    def _front_matter(self) -> dict[Path, str]:
        return {path: front_matter(path) for path in self.docs.rglob("*.md")}

    def _is_text(self, path: Path) -> bool:
        """Whether nothing but the text of an existing page changed."""
        return (
            path in self.fronts
            and path.name not in SHARED
            and path.exists()
            and front_matter(path) == self.fronts[path]
        )


def front_matter(path: Path) -> str:
    found = FRONT_MATTER.match(path.read_text(encoding="utf-8"))
    return found[0] if found else ""


def build_page(page, config, files: Files, nav, env, finish) -> None:
    """What MkDocs does with each page, for one of them; `finish` renders what waits to be rendered."""
    _populate_page(page, config, files)
    finish()
    _build_page(page, config, files.documentation_pages(), nav, env)
