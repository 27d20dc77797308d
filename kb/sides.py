"""Run each claim that holds in some versions of Keras on the nearest version beside them, where it has to fail.

`python -m kb.sides`, in the environment of a backend. Each version is installed into a folder of its own, which stands
before the environment's; below 3.0 there is Keras 2, of which claims with `tf_keras` speak.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from kb.question import claims, module, slugs

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


def install(wanted: str, folder: Path) -> bool:
    """Install the newest Keras of a range, else the nightly one; whether there is one at all."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "install", "--no-deps", "--upgrade"]
    nightly = wanted.replace("keras", "keras-nightly") + ".dev0"
    for asked in ([wanted], ["--pre", nightly]) if ">" in wanted else ([wanted],):
        if subprocess.run([*pip, "--target", folder, *asked], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return True
    return False


def main() -> int:
    """Run all sides; the exit status is that of the first run that went wrong."""
    status = 0
    for beside, tests in sides(ROOT).items():
        folder = ROOT / ".cache/sides" / beside.replace("<", "-below-").replace(">=", "-from-")
        if not install(beside, folder):
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
