"""Which snapshot of a run is the best, which ones are kept, and what they are called."""

import shutil
from pathlib import Path

import pytest
import torch

from noisette import snapshots
from noisette.errors import InputError
from noisette.metrics.interval import Interval, wilson
from noisette.snapshots import Checkup, best, chosen, clearly_better

LUCK = torch.randn(200, generator=torch.Generator().manual_seed(0))  # of the noise and the held-out pictures


def checkup(images: int, kid: float = 300.0, copies: int = 0, own: float = 1.0, luck: float = 30.0) -> Checkup:
    """KID and copies of 64 samples. `own` is the spread of its own luck, `luck` of that which all check-ups share."""
    mine = torch.randn(200, generator=torch.Generator().manual_seed(images))
    draws = kid + luck * LUCK + own * mine
    return Checkup(
        images, 10, 64, Interval(kid, kid - 60, kid + 60), tuple(draws.tolist()), wilson(copies, 64), wilson(1, 50)
    )


def test_the_best_has_the_least_kid_and_a_copying_one_comes_last():
    good, better, copying = checkup(1, 300), checkup(2, 200), checkup(3, 20, copies=40)
    assert copying.copying and not good.copying
    assert best([good, better, copying]) is better
    assert best([copying, good]) is good
    assert best([checkup(4, 1, copies=60), copying]) is copying  # the one that copies less
    twins = [checkup(5, 300), checkup(6, 300)]
    assert best(twins) is twins[1]


def test_luck_that_two_check_ups_share_is_no_doubt():
    one, other = checkup(1, 290), checkup(2, 300)
    assert one.kid is not None and other.kid is not None and one.kid.high > other.kid.low  # their intervals overlap
    assert clearly_better(one, other)
    assert not clearly_better(other, one)
    assert not clearly_better(checkup(1, 299, own=5.0), checkup(2, 300, own=5.0))
    assert clearly_better(checkup(1, 900), checkup(2, 20, copies=40))
    assert not clearly_better(checkup(1, 20, copies=40), checkup(2, 900))


def test_without_a_feature_net_copies_alone_decide():
    def bare(images: int, copies: int) -> Checkup:
        return Checkup(images, 10, 64, None, (), wilson(copies, 64), wilson(1, 50))

    assert best([bare(1, 3), bare(2, 0), bare(3, 40)]).images == 2
    assert not clearly_better(bare(1, 0), bare(2, 3))
    assert clearly_better(bare(1, 0), bare(2, 40))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for images, kid in ((10, 500.0), (20, 200.0), (30, 300.0), (40, 290.0)):
        folder = snapshots.place(tmp_path, images)
        folder.mkdir(parents=True)
        snapshots.write(folder, checkup(images, kid))
    return tmp_path


def seen(run: Path) -> list[int]:
    return [c.images for c in snapshots.found(run)]


def test_what_is_written_is_read(run: Path):
    assert snapshots.found(run)[1] == checkup(20, 200.0)
    (snapshots.place(run, 20) / "checkup.json").write_text("{}")
    with pytest.raises(InputError, match="does not tell what a check-up found"):
        snapshots.found(run)


def test_what_an_interrupted_run_could_need_is_kept(run: Path):
    """It may go on from 15 images: then 10 is the best that it has, and those after it are to come again."""
    snapshots.prune(run, 15)
    assert seen(run) == [10, 20, 30, 40]
    snapshots.prune(run, 30)
    assert seen(run) == [20, 30, 40]
    snapshots.prune(run, 40)
    assert seen(run) == [20, 40]
    snapshots.forget(run, 25)
    assert seen(run) == [20]
    snapshots.forget(run, 0)
    assert seen(run) == [] and chosen(run) is None and snapshots.told(run) == ""


def test_the_model_is_the_last_unless_another_is_clearly_better(run: Path):
    pick = chosen(run)
    assert pick is not None and pick.images == 20
    assert snapshots.told(run) == (
        "the model is the snapshot after 20 images, not the last one: its KID × 10³ of 200 [140, 260] is clearly below "
        "that one's, 290 [230, 350]"
    )
    shutil.rmtree(snapshots.place(run, 20))
    pick = chosen(run)
    assert pick is not None and pick.images == 40 and snapshots.told(run) == ""
    snapshots.write(snapshots.place(run, 40), checkup(40, 1, copies=50))
    assert "% of what that one draws are copies of training pictures" in snapshots.told(run)


def test_names_of_snapshots(run: Path):
    assert snapshots.named(run, "best") == snapshots.place(run, 20)
    assert snapshots.named(run, "last") == snapshots.place(run, 40)
    assert snapshots.named(run, "30") == snapshots.place(run, 30)
    with pytest.raises(InputError, match=r"no snapshot '35': say best or last, .* 10, 20, 30, 40"):
        snapshots.named(run, "35")
    assert snapshots.named(run / "other", "best") == run / "other"
