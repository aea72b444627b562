"""What the U-Net takes, what it refuses, and what it starts from."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from noisette.diffusion.condition import Condition
from noisette.errors import InputError
from noisette.nn import UNet, UNetConfig

TINY = UNetConfig(channels=(16, 32), blocks=1, attention=(False, True), groups=8, time_channels=16)
T = torch.tensor([3.0, 700.0])


def net(**changes: Any) -> UNet:
    """A network whose answer depends on everything, which one fresh from its initialization does not."""
    model = UNet(replace(TINY, **changes)).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return model


def images(channels: int = 3, height: int = 8, width: int = 8) -> Tensor:
    return torch.randn(2, channels, height, width)


@pytest.mark.parametrize("height,width", [(8, 8), (9, 8), (8, 13), (31, 17), (11, 64)])
def test_any_size(height: int, width: int) -> None:
    model = net(channels=(16, 16, 32), attention=(False, False, True))
    y = model(images(3, height, width), T)
    assert y.shape == (2, 3, height, width) and y.is_contiguous() and y.isfinite().all()


def test_padding_is_by_zeros_and_only_where_it_is_needed() -> None:
    model, x = net(), images(3, 9, 12)
    padded = torch.nn.functional.pad(x, (0, 0, 0, 1))
    torch.testing.assert_close(model(x, T), model(padded, T)[:, :, :9])


def test_an_untrained_network_answers_zero() -> None:
    assert UNet(TINY)(images(), T).abs().max() == 0


@pytest.mark.parametrize("label_input", ["embedding", "planes"])
def test_labels(label_input: str) -> None:
    model, x = net(classes=3, label_input=label_input), images()

    def predict(label: Any) -> Tensor:
        return model(x, T, Condition(label=torch.tensor(label)))

    assert not predict([0, 1]).allclose(predict([0, 2]))
    assert predict([0, 1])[0].allclose(predict([0, 2])[0], atol=1e-6)
    torch.testing.assert_close(predict([[1.0, 0, 0], [0, 0, 1.0]]), predict([0, 2]))
    table = model.embed.classes.weight if model.embed.classes is not None else None
    assert (table is None) == (label_input == "planes")
    assert table is None or table.shape == (4, TINY.embed_channels)

    nothing = torch.nan
    for null in ([-1, -1], [[nothing] * 3, [nothing] * 3]):
        torch.testing.assert_close(predict(null), model(x, T, None))
        torch.testing.assert_close(predict(null), model(x, T, Condition()))
    torch.testing.assert_close(predict([-1, 2])[1], predict([0, 2])[1])
    torch.testing.assert_close(predict([[nothing] * 3, [0, 0.5, 0.5]])[0], predict([-1, -1])[0])


@pytest.mark.parametrize("patch", [1, 2])
def test_planes_are_a_bias_of_the_first_layer_except_at_the_border(patch: int) -> None:
    """A convolution of constant channels adds the sum of its weights, where no zeros are padded."""
    model, x = net(classes=3, label_input="planes", patch=patch), images(height=16, width=16)
    seen: list[Tensor] = []
    model.conv_in.register_forward_hook(lambda module, args, output: seen.append(output))
    for cond in (None, Condition(label=torch.tensor([1, 2]))):
        model(x, T, cond)
    first = model.conv_in.weight.unflatten(1, (6, patch**2))[:, 3:].flatten(2).sum(2)  # (channels, classes)
    inside = (seen[1] - seen[0])[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(inside, first.T[torch.tensor([1, 2]), :, None, None].expand_as(inside))


def test_vectors() -> None:
    model, x, vector = net(vector=5), images(), torch.randn(2, 5)
    y = model(x, T, Condition(vector=vector))
    assert not y.allclose(model(x, T, Condition(vector=vector + 1)))
    null = model(x, T, Condition(vector=vector).null())
    torch.testing.assert_close(null, model(x, T))
    half = model(x, T, Condition(vector=vector).drop(torch.tensor([True, False])))
    torch.testing.assert_close(half, torch.stack([null[0], y[1]]), rtol=1e-4, atol=1e-5)
    vector[0, 2] = torch.nan  # one number missing is not a null: the picture is spoilt, where everybody sees it
    spoilt = model(x, T, Condition(vector=vector))
    assert spoilt[0].isnan().all() and spoilt[1].isfinite().all()


def test_null_is_learned() -> None:
    model = net(classes=2, vector=3)
    model(images(), T).square().sum().backward()
    table, vector = model.embed.classes, model.embed.vector
    assert table is not None and table.weight.grad is not None and vector is not None
    assert table.weight.grad[-1].abs().max() > 0 and table.weight.grad[:-1].abs().max() == 0
    assert vector.null.grad is not None and vector.null.grad.abs().max() > 0


def test_image_is_stacked() -> None:
    model, x, beside = net(in_channels=5), images(), images(2)
    y = model(x, T, Condition(image=beside))
    torch.testing.assert_close(y, model(torch.cat([x, beside], dim=1), T))


def test_a_patch_stem_is_the_same_network_on_fewer_and_deeper_pixels() -> None:
    """Of 2 × 2 pixels one is made, whose channels are theirs; sizes that are no multiples are padded."""
    shuffle, unshuffle = torch.nn.PixelShuffle(2), torch.nn.PixelUnshuffle(2)
    deep, model, x = net(in_channels=12, out_channels=12), net(patch=2), images(3, 16, 24)
    model.load_state_dict(deep.state_dict())
    torch.testing.assert_close(model(x, T), shuffle(deep(unshuffle(x), T)))
    odd = model(images(3, 13, 10), T)
    assert odd.shape == (2, 3, 13, 10) and odd.isfinite().all() and odd.is_contiguous()
    assert model.cfg.size_multiple == 4


def test_bottleneck_is_h_space() -> None:
    """The output of `mid` reaches the answer, and nothing but it changes when a hook adds to it."""
    model, x, seen = net(), images(), []
    handle = model.mid.register_forward_hook(lambda module, inputs, h: seen.append(h.shape) or h + 1)
    edited = model(x, T)
    handle.remove()
    assert seen == [(2, 32, 4, 4)]
    assert not edited.allclose(model(x, T))


REFUSED_LABELS: list[tuple[dict[str, Any], Condition | None, str]] = [
    ({"classes": 3}, Condition(label=torch.tensor([0, 3])), "0 to 2"),
    ({"classes": 3}, Condition(label=torch.tensor([0, -2])), "-1 for none"),
    ({"classes": 3}, Condition(label=torch.zeros(2, 2)), r"shape \(batch, 3\), got \(2, 2\)"),
    ({"classes": 3, "null_class": False}, None, "no null class"),
    ({"classes": 3, "null_class": False}, Condition(label=torch.tensor([0, -1])), "0 to 2"),
    ({"classes": 3, "null_class": False}, Condition(label=torch.full((2, 3), torch.nan)), "no null class"),
]
REFUSED: list[tuple[dict[str, Any], Condition | None, str]] = [
    ({}, Condition(label=torch.tensor([0, 1])), "label"),
    ({}, Condition(vector=torch.zeros(2, 3)), "vector"),
    ({}, Condition(tokens=torch.zeros(2, 4, 3)), "tokens"),
    *REFUSED_LABELS,
    *(({"label_input": "planes"} | changes, cond, words) for changes, cond, words in REFUSED_LABELS),
    ({"vector": 4}, Condition(vector=torch.zeros(2, 3)), "takes 4"),
    ({"in_channels": 4}, None, "takes 4"),
    ({"in_channels": 4}, Condition(image=torch.zeros(2, 1, 8, 9)), "equal"),
]


@pytest.mark.parametrize("changes,cond,words", REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_refused(changes: dict[str, Any], cond: Condition | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        net(**changes)(images(), T, cond)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"groups": 12}, "groups is 12"),
    ({"channels": ()}, "channels"),
    ({"channels": (16, 0)}, "channels"),
    ({"attention": (True,)}, "one entry for each of the 2 levels"),
    ({"blocks": 0}, "blocks is 0"),
    ({"in_channels": 0}, "in_channels"),
    ({"classes": -1}, "classes is -1"),
    ({"dropout": 1.0}, "dropout"),
    ({"eps": 0.0}, "eps"),
    ({"time_channels": 15}, "time_channels"),
    ({"freq_shift": 8}, "from 0 to 7"),
    ({"patch": 0}, "patch is 0"),
    ({"heads": 3}, "heads is 3"),
    ({"head_channels": 5}, "head_channels is 5"),
    ({"heads": 2, "head_channels": 8}, "give one"),
]


@pytest.mark.parametrize("changes,words", WRONG, ids=[next(iter(c)) + str(i) for i, (c, _) in enumerate(WRONG)])
def test_wrong_configurations(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(TINY, **changes)


@pytest.mark.parametrize("name", ["modulation", "label_input", "resample", "pad", "time_order"])
def test_words_that_do_not_exist(name: str) -> None:
    cfg = replace(TINY)
    object.__setattr__(cfg, name, "sideways")  # past the checks of types that the tests make
    with pytest.raises(InputError, match=f"{name} is 'sideways'"):
        cfg.__post_init__()
