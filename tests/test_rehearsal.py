"""What is measured on a GPU only runs here too, in small: the code works, and nothing is said about times."""

import subprocess
import sys
from pathlib import Path

import pytest

from kb import question

ROOT = Path(__file__).parent.parent
ABOUT = [slug for slug in question.slugs(ROOT) if any(c.device == "gpu" for c in question.claims(ROOT, slug))]


@pytest.mark.parametrize("slug", ABOUT)
def test_what_is_measured_on_a_gpu_can_be_rehearsed_here(slug):
    proof = f"tests/questions/test_{question.module(slug)}.py"
    tests = [f"{proof}::{c.test}" for c in question.claims(ROOT, slug) if c.device == "gpu"]
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--rehearse", *tests]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and "measured on a GPU only" not in run.stdout, run.stdout + run.stderr
