"""A share of tests/kills.py: kills of training, and of every other command that writes."""

import os
from pathlib import Path

import pytest

import forking

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="the children are forked")]
SCRIPT = Path(__file__).with_name("kills.py")


@pytest.mark.parametrize("words", [("train", "6"), ("commands", "2", "sample", "hub", "convert")], ids=lambda w: w[0])
def test_kills_lose_no_checkpoint(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = forking.shared().run(SCRIPT, tmp_path, *words)
    assert done.returncode == 0 and "kills" in done.stdout, done.stdout + done.stderr
