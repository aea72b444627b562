"""A small share of the mutated inputs and damaged runs; `python -m robustness.mutation` and `.damage` run all."""

import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from .damage import damage_runs
from .kinds import KINDS
from .mutation import MAX_BYTES, Kind, run_kind, stop_hang


@pytest.fixture(autouse=True)
def _alarm() -> Iterator[None]:
    """A hang is an error."""
    before = signal.signal(signal.SIGALRM, stop_hang)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_mutated_input_is_read_or_refused(kind: Kind, tmp_path: Path) -> None:
    outcome = run_kind(kind, 8, 1, tmp_path / "kind")
    assert not outcome.other and outcome.memory < MAX_BYTES


@pytest.mark.slow
def test_damage_to_a_run_is_noticed_or_without_effect(tmp_path: Path) -> None:
    outcome = damage_runs(20, 1, tmp_path)
    assert not outcome.faults
    # most files of a run are replaced by an earlier checkpoint or made again; its configuration and data are not
    assert outcome.refused >= 2 and outcome.same >= 10
