"""Run each claim that holds in some versions of Keras on the nearest version beside them, where it has to fail.

`python -m kb.sides`, in the environment of a backend. Each version is installed into a folder of its own, which stands
before the environment's; below 3.0 there is Keras 2, of which claims with `tf_keras` speak.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from kb.question import Problem, claims, clause, module, slugs

ROOT = Path(__file__).parent.parent
OTHER = {">=": "<", "<": ">="}  # the other side of a bound


def sides(root: Path) -> dict[str, list[str]]:
    """The ranges beside those of the claims, such as `keras<3.10`, each with the tests that have to fail in it."""
    found: dict[str, list[str]] = {}
    for slug in slugs(root):
        for claim in claims(root, slug):
            ranges = [wanted for wanted in map(Requirement, claim.holds) if wanted.name == "keras"]
            for spec in (spec for wanted in ranges for spec in wanted.specifier):
                beside = f"keras{OTHER[spec.operator]}{spec.version}"
                if beside != "keras<3.0":
                    found.setdefault(beside, []).append(f"tests/questions/test_{module(slug)}.py::{claim.test}")
    return {beside: found[beside] for beside in sorted(found, key=lambda text: Version(re.split("[<=]+", text)[1]))}


def nearest(beside: str) -> list[list[str]]:
    """What to ask pip for, one after the other: of versions below a bound the last, of those above it the next."""
    if "<" in beside:
        return [[beside]]
    major, minor = Version(beside.partition(">=")[2]).release[:2]
    upper = f",<{major}.{minor + 1}"
    return [[beside + upper], ["--pre", f"{beside.replace('keras', 'keras-nightly')}.dev0{upper}"]]


def install(beside: str, folder: Path) -> bool:
    """Install the Keras that is nearest to a range; whether there is one. Raises `Problem` if pip cannot tell."""
    shutil.rmtree(folder, ignore_errors=True)  # pip would leave another version's name in it
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-deps"]
    for asked in nearest(beside):
        command = [*pip, "--target", str(folder), *asked]
        run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode == 0:
            return True
        if "(from versions: " not in run.stderr or "(from versions: none)" in run.stderr or "<" in beside:
            raise Problem(f"{beside}: no such Keras could be installed: {clause(run.stderr.strip()[-200:])}.")
    return False


def main() -> int:
    """Run all sides; the exit status is that of the first run that went wrong."""
    status = 0
    for beside, tests in sides(ROOT).items():
        folder = ROOT / ".cache/sides" / beside.replace("<", "-below-").replace(">=", "-from-")
        try:
            there_is_one = install(beside, folder)
        except Problem as problem:
            print(problem)
            status = 1
            continue
        if not there_is_one:
            print(f"{beside}: there is no such version yet, so {len(tests)} claims were not asked to fail in it.")
            continue
        version = next(folder.glob("keras*.dist-info")).name.removesuffix(".dist-info").replace("-", " ")
        print(f"{beside}: {version}, in which {len(tests)} claims have to fail", flush=True)
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--no-header", "-rxX", "--tb=short", *tests],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(folder)},
            check=False,
        )
        status = status or run.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
