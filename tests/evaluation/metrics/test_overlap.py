import pytest
import torch
from sklearn.metrics import jaccard_score, roc_auc_score

from noisette.errors import InputError
from noisette.evaluation.metrics.segmentation import auroc, bootstrap_mean, iou


def test_iou_is_sklearns() -> None:
    found, truth = torch.rand(6, 1, 9, 7) > 0.4, torch.rand(6, 1, 9, 7) > 0.6
    theirs = [jaccard_score(t.flatten(), f.flatten()) for f, t in zip(found, truth, strict=True)]
    assert iou(found, truth).tolist() == pytest.approx(theirs)
    nothing = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    assert iou(nothing, nothing).item() == 1 and iou(~nothing, nothing).item() == 0


@pytest.mark.parametrize("levels", [5, 1000])
def test_auroc_is_sklearns_with_ties(levels: int) -> None:
    event = torch.rand(400) > 0.8
    score = ((torch.rand(400) + 0.4 * event) * levels).floor() / levels
    assert auroc(score, event) == pytest.approx(roc_auc_score(event, score))
    assert auroc(torch.zeros(400), event) == 0.5
    with pytest.raises(InputError, match="targets of both kinds"):
        auroc(score, torch.ones(400, dtype=torch.bool))


def test_the_interval_of_a_mean_holds_it() -> None:
    inside = 0
    for seed in range(100):
        values = torch.randn(40, generator=torch.Generator().manual_seed(seed)) + 3
        found = bootstrap_mean(values, resamples=300)
        assert found.low < found.value < found.high and found.value == pytest.approx(values.mean().item(), abs=1e-6)
        inside += found.low <= 3 <= found.high
    assert 87 <= inside <= 99
