"""What a file holds and what a model sees, there and back."""

import pytest
import torch

from noisette.pictures import Mode, Pictures


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_there_and_back(mode: Mode) -> None:
    """Alpha and opaque colours to the byte; a part-transparent colour within what premultiplying leaves of it."""
    pictures = Pictures(mode, 16, 16)
    g = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (8, *pictures.shape), generator=g, dtype=torch.uint8)
    back = pictures.decode(pictures.encode(pixels))
    if not pictures.has_alpha:
        assert torch.equal(back, pixels)
        return
    alpha = pixels[:, -1:]
    assert torch.equal(back[:, -1:], alpha)
    off = (back[:, :-1].int() - pixels[:, :-1].int()).abs()
    assert (off[(alpha == 255).expand_as(off)] == 0).all() and (off[(alpha > 0).expand_as(off)] <= 1).all()
    assert (back[:, :-1][(alpha == 0).expand_as(off)] == 0).all()


def test_what_is_nearly_clear_or_opaque_is_so_once_finished() -> None:
    pictures = Pictures("RGBA", 16, 16)
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    pixels = torch.cat([torch.full((1, 3, 16, 16), 200, dtype=torch.uint8), levels], 1)
    x = pictures.encode(pixels)
    done, plain = pictures.finished(x), pictures.decode(x)
    alpha = done[0, 3].flatten().tolist()
    assert alpha[:5] == [0] * 5 and alpha[251:] == [255] * 5 and alpha[5:251] == list(range(5, 251))
    assert (done[0, :3].flatten(1)[:, :5] == 0).all()
    assert torch.equal(done[0, :3].flatten(1)[:, 5:], plain[0, :3].flatten(1)[:, 5:])
    opaque = Pictures("RGB", 16, 16)
    assert torch.equal(opaque.finished(x[:, :3]), opaque.decode(x[:, :3]))
