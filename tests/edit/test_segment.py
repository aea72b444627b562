import torch

from noisette.edit.segment import binarize, mask_probability, uncertainty


def test_samples_vote_and_disagree() -> None:
    samples = torch.tensor([[1.0, 0.2, -0.6, 5.0], [1.0, -1.0, -1.0, 5.0]]).reshape(2, 1, 2, 2)
    share = mask_probability(samples)
    assert share.flatten().tolist() == [1, 0.5, 0, 1]
    assert binarize(share).flatten().tolist() == [True, False, False, True]
    assert uncertainty(share).flatten().tolist() == [0, 1, 0, 0]
