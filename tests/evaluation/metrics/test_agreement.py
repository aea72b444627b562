import pytest
import torch

from noisette.errors import InputError
from noisette.evaluation.metrics.label_agreement import train_label_classifier


class Corner:
    """Features of a picture: its first two pixels."""

    name, hash = "corner", "0"

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flatten(1)[:, :2].float()


def kinds(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gray pictures of two kinds: the left half bright, or the right half."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % 2
    pixels = torch.randint(0, 60, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    pixels[label == 0, :, :, :4] += 180
    pixels[label == 1, :, :, 4:] += 180
    return pixels, label


def test_label_agreement_is_the_share_of_right_labels() -> None:
    train, held_out = kinds(60, 0), kinds(30, 1)
    read = train_label_classifier(*train, *held_out, Corner())
    assert read.accuracy.value == 1
    drawn, label = kinds(40, 2)
    assert read.label_agreement(drawn, label).value == 1
    assert read.label_agreement(drawn, 1 - label).value == 0
    half = torch.where(torch.arange(40) < 20, label, -1)
    assert (
        read.label_agreement(drawn, half).high == 1 and read.label_agreement(drawn, half).low < 0.9
    )  # of 20, not of 40


def test_the_more_accurate_of_two_classifiers_is_used() -> None:
    """Pixels tell nothing where only the features, which are given the answer, do."""

    class Knows:
        name, hash = "knows", "0"

        def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
            parity = pixels.flatten(1).long().sum(1) % 2
            return torch.stack([parity, 1 - parity], 1).float()

    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (120, 1, 8, 8), generator=generator, dtype=torch.uint8)
    label = pixels.flatten(1).long().sum(1) % 2
    read = train_label_classifier(pixels[:80], label[:80], pixels[80:], label[80:], Knows())
    assert "features" in read.name and read.accuracy.value == 1


def test_a_single_label_has_no_classifier() -> None:
    pixels, label = kinds(20, 0)
    with pytest.raises(InputError, match="two labels"):
        train_label_classifier(pixels, torch.zeros_like(label), pixels, label, Corner())
