"""What a file holds and what a model sees, there and back."""

import pytest
import torch

from noisette.data.color_mode import measure_alpha_snap
from noisette.data.pictures import Mode, Pictures
from noisette.errors import InputError


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_there_and_back(mode: Mode) -> None:
    """Alpha and opaque colors to the byte; a part-transparent color within what premultiplying leaves of it."""
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
    done, plain = pictures.decode_samples(x), pictures.decode(x)
    alpha = done[0, 3].flatten().tolist()
    assert alpha[:5] == [0] * 5 and alpha[251:] == [255] * 5 and alpha[5:251] == list(range(5, 251))
    assert (done[0, :3].flatten(1)[:, :5] == 0).all()
    assert torch.equal(done[0, :3].flatten(1)[:, 5:], plain[0, :3].flatten(1)[:, 5:])
    opaque = Pictures("RGB", 16, 16)
    assert torch.equal(opaque.decode_samples(x[:, :3]), opaque.decode(x[:, :3]))


def test_alpha_is_set_to_0_and_255_where_the_data_have_only_those() -> None:
    """By `decode` itself; and a soft shadow that begins beside the clear pixels is left as it is."""
    atoms = [10_000] + [20] * 254 + [10_000]
    assert measure_alpha_snap(atoms) == (15, 240)
    assert measure_alpha_snap([10_000] + [200] * 254 + [10_000]) == (1, 254)
    assert measure_alpha_snap([10_000] + [2_000] * 200 + [0] * 55) == (0, 255)  # soft, and nothing is opaque
    assert measure_alpha_snap([1] + [0] * 254 + [1]) == (16, 239)
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    pixels = torch.cat([torch.full((1, 3, 16, 16), 200, dtype=torch.uint8), levels], 1)
    pictures = Pictures("RGBA", 16, 16, alpha_snap=(15, 240))
    for decode in (pictures.decode, pictures.decode_samples):
        done = decode(pictures.encode(pixels)).flatten(2)[0]
        assert done[3].tolist() == [0] * 16 + list(range(16, 240)) + [255] * 16
        assert (done[:3, :16] == 0).all() and (done[:3, 16:].int() - 200).abs().max() <= 8
    with pytest.raises(InputError, match="alpha_snap must be two levels"):
        Pictures("RGBA", 16, 16, alpha_snap=(9, 3))
