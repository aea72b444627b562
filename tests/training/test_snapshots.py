"""Which snapshot of a run is the best, which ones are kept, and what they are called."""

import shutil
from pathlib import Path

import pytest
import torch

from noisette.errors import InputError
from noisette.evaluation.metrics.interval import ConfidenceInterval, wilson_interval
from noisette.training import snapshots
from noisette.training.snapshots import SnapshotEvaluation, find_best, is_clearly_better, select_snapshot

LUCK = torch.randn(200, generator=torch.Generator().manual_seed(0))  # of the noise and the held-out pictures


def evaluation(
    images: int, kid: float = 300.0, copies: int = 0, own: float = 1.0, luck: float = 30.0
) -> SnapshotEvaluation:
    """KID and copies of 64 samples. `own` is the spread of its own luck, `luck` of that which all evaluations share."""
    mine = torch.randn(200, generator=torch.Generator().manual_seed(images))
    draws = kid + luck * LUCK + own * mine
    return SnapshotEvaluation(
        images,
        10,
        64,
        ConfidenceInterval(kid, kid - 60, kid + 60),
        tuple(draws.tolist()),
        wilson_interval(copies, 64),
        wilson_interval(1, 50),
    )


def test_the_best_snapshot_has_the_lowest_kid_and_memorizing_ones_come_last():
    good, better, copying = evaluation(1, 300), evaluation(2, 200), evaluation(3, 20, copies=40)
    assert copying.is_copying and not good.is_copying
    assert find_best([good, better, copying]) is better
    assert find_best([copying, good]) is good
    assert find_best([evaluation(4, 1, copies=60), copying]) is copying  # the one that copies less
    twins = [evaluation(5, 300), evaluation(6, 300)]
    assert find_best(twins) is twins[1]


def test_variation_shared_by_two_evaluations_does_not_widen_the_difference():
    one, other = evaluation(1, 290), evaluation(2, 300)
    assert one.kid is not None and other.kid is not None and one.kid.high > other.kid.low  # their intervals overlap
    assert is_clearly_better(one, other)
    assert not is_clearly_better(other, one)
    assert not is_clearly_better(evaluation(1, 299, own=5.0), evaluation(2, 300, own=5.0))
    assert is_clearly_better(evaluation(1, 900), evaluation(2, 20, copies=40))
    assert not is_clearly_better(evaluation(1, 20, copies=40), evaluation(2, 900))


def test_without_a_feature_net_copies_alone_decide():
    def bare(images: int, copies: int) -> SnapshotEvaluation:
        return SnapshotEvaluation(images, 10, 64, None, (), wilson_interval(copies, 64), wilson_interval(1, 50))

    assert find_best([bare(1, 3), bare(2, 0), bare(3, 40)]).images == 2
    assert not is_clearly_better(bare(1, 0), bare(2, 3))
    assert is_clearly_better(bare(1, 0), bare(2, 40))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for images, kid in ((10, 500.0), (20, 200.0), (30, 300.0), (40, 290.0)):
        folder = snapshots.snapshot_folder(tmp_path, images)
        folder.mkdir(parents=True)
        snapshots.write(folder, evaluation(images, kid))
    return tmp_path


def seen(run: Path) -> list[int]:
    return [c.images for c in snapshots.read_all(run)]


def test_what_is_written_is_read(run: Path):
    assert snapshots.read_all(run)[1] == evaluation(20, 200.0)
    (snapshots.snapshot_folder(run, 20) / "evaluation.json").write_text("{}")
    with pytest.raises(InputError, match="does not hold the evaluation of a snapshot"):
        snapshots.read_all(run)


def test_what_an_interrupted_run_could_need_is_kept(run: Path):
    """It may go on from 15 images: then 10 is the best that it has, and those after it are to come again."""
    snapshots.prune(run, 15)
    assert seen(run) == [10, 20, 30, 40]
    snapshots.prune(run, 30)
    assert seen(run) == [20, 30, 40]
    snapshots.prune(run, 40)
    assert seen(run) == [20, 40]
    snapshots.remove_after(run, 25)
    assert seen(run) == [20]
    snapshots.remove_after(run, 0)
    assert seen(run) == [] and select_snapshot(run) is None and snapshots.describe_selection(run) == ""


def test_the_model_is_the_last_unless_another_is_clearly_better(run: Path):
    pick = select_snapshot(run)
    assert pick is not None and pick.images == 20
    assert snapshots.describe_selection(run) == (
        "the model is the snapshot after 20 images, not the last one: its KID × 10³, 200 [140, 260], is clearly below "
        "that of the last one, 290 [230, 350]"
    )
    shutil.rmtree(snapshots.snapshot_folder(run, 20))
    pick = select_snapshot(run)
    assert pick is not None and pick.images == 40 and snapshots.describe_selection(run) == ""
    snapshots.write(snapshots.snapshot_folder(run, 40), evaluation(40, 1, copies=50))
    assert "% of the last one's samples are copies of training pictures" in snapshots.describe_selection(run)


def test_names_of_snapshots(run: Path):
    assert snapshots.find_folder(run, "best") == snapshots.snapshot_folder(run, 20)
    assert snapshots.find_folder(run, "last") == snapshots.snapshot_folder(run, 40)
    assert snapshots.find_folder(run, "30") == snapshots.snapshot_folder(run, 30)
    with pytest.raises(InputError, match=r"no snapshot '35': give best or last, or one of 10, 20, 30, 40"):
        snapshots.find_folder(run, "35")
    assert snapshots.find_folder(run / "other", "best") == run / "other"
