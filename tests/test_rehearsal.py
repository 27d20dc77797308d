"""What is timed on a GPU only runs here too, in small: the code works, and nothing is said about times."""

import subprocess
import sys
from pathlib import Path

import pytest

from kb import question

ROOT = Path(__file__).parent.parent
TIMED = [slug for slug in question.slugs(ROOT) if any(c.timed for c in question.claims(ROOT, slug))]


@pytest.mark.parametrize("slug", TIMED)
def test_what_is_timed_on_a_gpu_can_be_rehearsed_here(slug):
    proof = f"tests/questions/test_{question.module(slug)}.py"
    timed = [f"{proof}::{c.test}" for c in question.claims(ROOT, slug) if c.timed]
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--rehearse", *timed]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and "timed on a GPU only" not in run.stdout, run.stdout + run.stderr
