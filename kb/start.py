"""Start MkDocs quickly: `python -m kb.start build`, `python -m kb.start serve`. `mkdocs build` gives the same, later.

mkdocs-jupyter brings notebooks into the site and `site` renders them, so what it renders with, nbconvert, is loaded
only if something asks for it. Templates are compiled once. Nobody walks through Material's fourteen thousand icons.
"""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import jinja2
from mkdocs.theme import Theme

UNUSED = ("jupytext", "mkdocs_jupyter.convert")
COMPILED = Path(__file__).parent.parent / ".cache/templates"


class Deferred(ModuleType):
    """Stands for a module until something of it is used."""

    def __getattr__(self, name: str):
        sys.modules.pop(self.__name__, None)
        module = importlib.import_module(self.__name__)
        self.__dict__.update(vars(module))
        return getattr(module, name)


class Templates(jinja2.FileSystemLoader):
    """The theme's files, all but the icons, which pages take from it one by one."""

    def list_templates(self) -> list[str]:
        found = set()
        for start in self.searchpath:
            for folder, folders, names in os.walk(start):
                folders[:] = [name for name in folders if name != ".icons"]
                inside = os.path.relpath(folder, start).replace(os.sep, "/")
                found |= {name if inside == "." else f"{inside}/{name}" for name in names}
        return sorted(found)


def get_env(theme: Theme) -> jinja2.Environment:
    env = original_get_env(theme)
    COMPILED.mkdir(parents=True, exist_ok=True)
    env.loader = Templates(theme.dirs)
    env.bytecode_cache = jinja2.FileSystemBytecodeCache(str(COMPILED))
    return env


if __name__ == "__main__":
    sys.modules |= {name: Deferred(name) for name in UNUSED}
    original_get_env, Theme.get_env = Theme.get_env, get_env
    from mkdocs.__main__ import cli

    cli(prog_name="mkdocs")
