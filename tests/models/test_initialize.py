"""Initializing a new model with the weights of another one."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from noisette.data.pictures import TextEncoderInfo
from noisette.diffusion.condition import Condition
from noisette.models.initialize import channel_matrix, initialize
from noisette.models.picture_model import PictureModel
from noisette.models.task import Segment, Upscale
from tiny_models import tiny

TEXT = TextEncoderInfo("words", "0" * 64, 6, 4)


def grown(old: PictureModel, new: PictureModel) -> PictureModel:
    """`new`, initialized from `old`."""
    made = initialize(old.net.state_dict(), old.config, new.net.state_dict(), new.config)
    new.net.load_state_dict(made.state)
    return new


def noisy(channels: int, size: int = 8, n: int = 3) -> Tensor:
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(5))


LEVELS = torch.tensor([-1.0, 0.2, 0.9])


def test_equal_configs_give_equal_weights():
    old, new = tiny(seed=0), tiny(seed=1)
    made = initialize(old.net.state_dict(), old.config, new.net.state_dict(), new.config)
    assert made.share == 1.0 and made.changes == ()
    assert all(torch.equal(made.state[name], tensor) for name, tensor in old.net.state_dict().items())


def test_all_weights_are_kept_for_another_picture_size():
    old, new = tiny(height=8, width=8), tiny(height=24, width=16, seed=1)
    grown(old, new)
    x = noisy(4, 16)
    torch.testing.assert_close(new.net(x, LEVELS), old.net(x, LEVELS))


@pytest.mark.parametrize("labels", [(), ("bread", "sword")])
@pytest.mark.parametrize("before", ["embedding", "planes"])
@pytest.mark.parametrize("after", ["embedding", "planes"])
def test_outputs_without_label_equal_those_of_the_old_model(labels: tuple[str, ...], before: Any, after: Any):
    old, new = tiny(label_input=before), tiny(labels=labels, seed=1, label_input=after)
    grown(old, new)
    x = noisy(4)
    torch.testing.assert_close(new.net(x, LEVELS), old.net(x, LEVELS))


def test_known_labels_keep_their_plane_and_new_ones_get_the_mean():
    old = tiny(labels=("bread", "potion", "sword"), label_input="planes")
    new = tiny(labels=("sword", "axe"), seed=1, label_input="planes")
    grown(old, new)
    after, before = new.net.conv_in.weight[:, 4:], old.net.conv_in.weight[:, 4:]
    assert torch.equal(after[:, 0], before[:, 2])
    torch.testing.assert_close(after[:, 1], before.mean(1))
    x = noisy(4)
    sword = [Condition(label=torch.full((3,), model.label_index("sword"))) for model in (new, old)]
    torch.testing.assert_close(new.net(x, LEVELS, sword[0]), old.net(x, LEVELS, sword[1]))


def test_known_labels_keep_their_embedding_and_new_ones_get_the_mean():
    old, new = tiny(labels=("bread", "potion", "sword")), tiny(labels=("sword", "axe"), seed=1)
    grown(old, new)
    rows, before = new.net.embed.classes.weight, old.net.embed.classes.weight
    assert torch.equal(rows[0], before[2]) and torch.equal(rows[2], before[3])
    torch.testing.assert_close(rows[1], before[:3].mean(0))


def test_new_labels_have_no_effect_if_the_base_has_none():
    old, new = tiny(labels=()), tiny(labels=("axe", "bow"), seed=1)
    grown(old, new)
    x = noisy(4)
    labeled = new.net(x, LEVELS, Condition(label=torch.tensor([0, 1, -1])))
    torch.testing.assert_close(labeled, old.net(x, LEVELS))


def test_attribute_weights_are_rescaled_to_the_new_statistics():
    old = tiny(attributes=("hue", "age"), means=(0.5, 10.0), scales=(0.1, 4.0))
    new = tiny(attributes=("age", "mood"), means=(12.0, 0.0), scales=(2.0, 1.0), seed=1)
    grown(old, new)
    x = noisy(4)
    before = old.net(x, LEVELS, old.condition(n=3, attributes={"hue": 0.5, "age": 13.0}))
    after = new.net(x, LEVELS, new.condition(n=3, attributes={"age": 13.0, "mood": 7.0}))
    torch.testing.assert_close(after, before)


def test_new_attributes_have_no_effect_at_first():
    old, new = tiny(), tiny(attributes=("age",), means=(12.0,), scales=(2.0,), seed=1)
    grown(old, new)
    x = noisy(4)
    after = new.net(x, LEVELS, Condition(vector=torch.tensor([[1.0], [-2.0], [torch.nan]])))
    torch.testing.assert_close(after, old.net(x, LEVELS))


@pytest.mark.parametrize("wording", [None, replace(TEXT, sha256="1" * 64)])
def test_outputs_are_unchanged_without_the_old_text_encoder(wording: TextEncoderInfo | None):
    old, new = tiny(wording=TEXT), tiny(wording=wording, seed=1)
    grown(old, new)
    x = noisy(4)
    tokens = None if wording is None else torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(new.net(x, LEVELS, Condition(tokens=tokens)), old.net(x, LEVELS))


def test_captions_of_the_same_encoder_are_kept():
    old, new = tiny(wording=TEXT), tiny(wording=replace(TEXT, name="elsewhere"), seed=1)
    assert initialize(old.net.state_dict(), old.config, new.net.state_dict(), new.config).share == 1.0


def test_gray_from_rgba_is_the_mean_of_the_colors():
    """A gray picture is one with three equal colors."""
    old, new = tiny("RGBA"), tiny("LA", seed=1)
    grown(old, new)
    x = noisy(2)
    colors = old.net(torch.cat([x[:, :1].expand(-1, 3, -1, -1), x[:, 1:]], 1), LEVELS)
    torch.testing.assert_close(new.net(x, LEVELS), torch.cat([colors[:, :3].mean(1, keepdim=True), colors[:, 3:]], 1))


def test_rgb_from_rgba_equals_rgba_with_full_alpha():
    """Except at the border, where alpha is padded with zeros."""
    old, new = tiny("RGBA"), tiny("RGB", seed=1)
    grown(old, new)
    x = noisy(3)
    opaque = old.net.conv_in(torch.cat([x, torch.ones_like(x[:, :1])], 1))
    torch.testing.assert_close(new.net.conv_in(x)[:, :, 1:-1, 1:-1], opaque[:, :, 1:-1, 1:-1])
    colors = torch.equal(new.net.conv_out.weight, old.net.conv_out.weight[:3])
    assert colors and torch.equal(new.net.conv_out.bias, old.net.conv_out.bias[:3])


def test_rgba_initialized_from_gray():
    old, new = tiny("L"), tiny("RGBA", seed=1)
    grown(old, new)
    x = noisy(4)
    y = old.net(x[:, :3].mean(1, keepdim=True), LEVELS)
    torch.testing.assert_close(new.net(x, LEVELS), torch.cat([y, y, y, torch.zeros_like(y)], 1))


@pytest.mark.parametrize("wanted", ["L", "LA", "RGB", "RGBA"])
def test_lossless_mode_conversions_are_exact(wanted: str):
    """To more channels and back is the identity."""
    for given in ("L", "LA", "RGB", "RGBA"):
        if set(given.replace("L", "")) <= set(wanted) and len(given) <= len(wanted):
            there, back = channel_matrix(wanted, given), channel_matrix(given, wanted)  # type: ignore[arg-type]
            torch.testing.assert_close(back @ there, torch.eye(len(back)))


@pytest.mark.parametrize("task", [Upscale(2), Segment()])
def test_an_image_condition_has_no_effect_at_first(task: Upscale | Segment):
    old, new = tiny("RGB"), tiny("RGB", task=task, seed=1)
    grown(old, new)
    x, given = noisy(3), noisy(new.config.net.in_channels - 3)
    torch.testing.assert_close(new.net(x, LEVELS, Condition(image=given)), old.net(x, LEVELS))


def test_the_same_task_keeps_the_weights_of_its_image_condition():
    old, new = tiny("RGB", task=Upscale(2)), tiny("RGB", task=Upscale(2), height=16, width=16, seed=1)
    assert initialize(old.net.state_dict(), old.config, new.net.state_dict(), new.config).share == 1.0


def test_layers_of_other_widths_keep_random_weights():
    old, new = tiny(channels=(8, 8)), tiny(channels=(8, 16), seed=1)
    made = initialize(old.net.state_dict(), old.config, new.net.state_dict(), new.config)
    wider = "down.1.blocks.0.res.conv2.weight"
    assert 0 < made.share < 1
    assert torch.equal(made.state[wider], new.net.state_dict()[wider])
