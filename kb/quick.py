"""Under `make serve`: an edit of a page, or of a program on it, builds that page first and shows it at once.

What else shows the edit (the home page, lists, neighbours, the search index) follows: everything is built anew into
another folder while the pages of before are served. If a file changes meanwhile, its page comes first again.
"""

import sys
from contextlib import suppress
from pathlib import Path

from mkdocs.commands.build import _build_page, _populate_page
from mkdocs.exceptions import Abort
from mkdocs.structure.files import Files

POLL = 0.2  # seconds between two looks at the files


class Interrupted(BaseException):
    """A file changed while everything was being built. MkDocs reports each `Exception` as an error; this is none."""


class Builder:
    """What the server calls after a change.

    `page_of` names the page of docs/ that shows a file, or None; `one` builds such a page; `everything` builds all,
    and may raise `Interrupted`, after which the server calls again.
    """

    def __init__(self, watched: list[str], page_of, one, everything):
        self.page_of, self.one, self.everything = page_of, one, everything
        self.watched = [Path(path) for path in watched]
        self.seen = self._look()

    def __call__(self) -> None:
        before, self.seen = self.seen, self._look()
        changed = [path for path in before.keys() | self.seen.keys() if before.get(path) != self.seen.get(path)]
        pages = {self.page_of(path) if path in before and path in self.seen else None for path in changed}
        try:
            if len(pages) == 1 and None not in pages:
                self.one(*pages)
            self.everything()
        except Abort as stop:
            print(stop, file=sys.stderr)
        except Interrupted:
            pass

    def _look(self) -> dict[Path, tuple[int, int]]:
        """Each watched file's time and size."""
        found = {}
        for path in (p for top in self.watched for p in (top.rglob("*.*") if top.is_dir() else [top])):
            with suppress(FileNotFoundError):  # what an editor puts beside a file that it saves
                found[path] = path.stat().st_mtime_ns, path.stat().st_size
        return found


def build_page(page, config, files: Files, nav, env, finish) -> None:
    """What MkDocs does with each page, for one of them; `finish` renders what waits to be rendered."""
    _populate_page(page, config, files)
    finish()
    _build_page(page, config, files.documentation_pages(), nav, env)
