"""Arrays of any layout become the same bytes; a range is stated, never guessed."""

import pytest
import torch

from noisette.data.in_memory import to_pixels
from noisette.errors import InputError

BYTES = torch.randint(0, 256, (5, 3, 9, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_layouts_and_ranges_lead_to_the_same_bytes() -> None:
    for same in (BYTES, BYTES.permute(0, 2, 3, 1), BYTES.numpy(), BYTES.permute(0, 2, 3, 1).numpy()):
        assert torch.equal(to_pixels(same), BYTES)
    assert torch.equal(to_pixels(BYTES.float() / 255, (0, 1)), BYTES)
    assert torch.equal(to_pixels(BYTES.double() / 127.5 - 1, (-1, 1)), BYTES)
    assert to_pixels(BYTES[:, 0]).shape == (5, 1, 9, 10)


def test_messages_name_the_refused_argument() -> None:
    for pictures, value_range, says in (
        (BYTES.float() / 255, None, "samples are float32: give value_range"),
        (BYTES.float(), (0.0, 1.0), "samples must lie between 0.0 and 1.0"),
        (BYTES.float() / 0, (0.0, 1.0), "samples must lie between"),
    ):
        with pytest.raises(InputError, match=says):
            to_pixels(pictures, value_range, "samples")
