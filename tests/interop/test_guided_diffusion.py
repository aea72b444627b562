"""Networks that OpenAI's own code built, tiny and random: the converted ones answer the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noisette.diffusion.condition import Condition
from noisette.diffusion.grid import leading
from noisette.diffusion.guidance import GradientGuided
from noisette.diffusion.posterior import LearnedRange, posterior_mean
from noisette.diffusion.sampler import DDIM, sample
from noisette.diffusion.schedule import Cosine, LinearBeta
from noisette.errors import InputError
from noisette.interop import guided_diffusion
from noisette.interop.base import ConversionOverrides, ConvertedModel
from noisette.interop.convert import build_model, convert_source
from noisette.models.classifier import PictureClassifier
from noisette.models.config import ModelConfig, build
from noisette.models.picture_model import PictureModel

from .reference import guided_diffusion as package
from .reference import randomized

BASE: dict[str, Any] = {
    "image_size": 16, "in_channels": 3, "model_channels": 32, "out_channels": 3, "num_res_blocks": 1,
    "attention_resolutions": (2,), "channel_mult": (1, 2),
}  # fmt: skip
NOTHING = ConversionOverrides()
ADM = {"use_scale_shift_norm": True, "resblock_updown": True, "num_head_channels": 16}

CASES: dict[str, tuple[dict[str, Any], ConversionOverrides]] = {
    "plain with heads": ({"num_heads": 4}, ConversionOverrides()),
    "one head": ({}, ConversionOverrides(heads=1)),
    "scale and shift, resampling blocks, classes": ({**ADM, "num_classes": 5}, ConversionOverrides(head_channels=16)),
    "three levels of one width, two blocks": (
        {**ADM, "channel_mult": (1, 1, 1), "num_res_blocks": 2, "attention_resolutions": (2, 4)},
        ConversionOverrides(head_channels=16),
    ),
    "learned variance": ({"out_channels": 6, "num_heads": 4, "use_scale_shift_norm": True}, ConversionOverrides()),
    "new order of attention": (
        {**ADM, "use_new_attention_order": True}, ConversionOverrides(head_channels=16, attention_order="new"),
    ),
    "first level narrower": ({"model_channels": 64, "channel_mult": (0.5, 1), "num_heads": 4}, ConversionOverrides()),
    "no attention but in the middle": (
        {"attention_resolutions": (), "num_heads": 4, "num_res_blocks": 3}, ConversionOverrides(),
    ),
    "64 channels a head": (
        {**ADM, "model_channels": 64, "num_head_channels": 64, "channel_mult": (1, 1)}, ConversionOverrides(),
    ),
    "gray": ({"in_channels": 1, "out_channels": 1, "num_heads": 4}, ConversionOverrides()),
}  # fmt: skip


def unet(**kw: Any) -> nn.Module:
    return randomized(package().unet.UNetModel(**(BASE | kw)))


def found(net: nn.Module | dict[str, Tensor], folder: Path, overrides: ConversionOverrides = NOTHING) -> ConvertedModel:
    path = folder / "theirs.pt"
    torch.save(net.state_dict() if isinstance(net, nn.Module) else net, path)
    return convert_source(path, overrides)


def ours_of(net: nn.Module, folder: Path, overrides: ConversionOverrides = NOTHING) -> PictureModel:
    model = build_model(found(net, folder, overrides))
    assert isinstance(model, PictureModel)
    return model


@pytest.mark.parametrize("name", CASES)
def test_the_same_answer(name: str, tmp_path: Path) -> None:
    kw, overrides = CASES[name]
    theirs = unet(**kw)
    ours = ours_of(theirs, tmp_path, overrides)
    x, classes = torch.randn(2, theirs.in_channels, 16, 16), ours.config.net.classes
    label = torch.tensor([1, classes - 1]) if classes else None
    t, steps = torch.tensor([0.25, 0.75], dtype=torch.float64), ours.schedule.num_train_timesteps
    with torch.no_grad():
        shown = (t * steps - 1) * (1000 / steps)  # rescale_timesteps
        expected = theirs(x, shown.float(), label) if classes else theirs(x, shown.float())
        torch.testing.assert_close(ours(x, t, Condition(label=label)), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.net(x, shown, Condition(label=label)), expected, rtol=1e-4, atol=1e-4)
    assert ours.pictures.labels == tuple(map(str, range(classes)))


def test_what_is_recognized(tmp_path: Path) -> None:
    guided = found(unet(**ADM, out_channels=6, num_classes=5), tmp_path, ConversionOverrides(head_channels=16))
    assert guided.family == "guided-diffusion's U-Net"
    assert isinstance(guided.config, ModelConfig) and isinstance(guided.config.schedule, Cosine)
    assert guided.config.schedule.steps == 1000 and guided.config.sampling.sampler == "ddpm-learned"
    (note,) = guided.notes
    assert "cosine" in note and "--attention-order" in note and "heads" not in note

    improved = found(unet(out_channels=6), tmp_path)
    assert improved.family == "improved-diffusion's U-Net"
    assert isinstance(improved.config, ModelConfig)
    assert improved.config.schedule == Cosine(4000, label_steps=1000)
    assert "4 attention heads" in improved.notes[0]

    overrides = ConversionOverrides(
        schedule="linear", train_timesteps=500, size=(16, 24), prediction_type="x0", rescale_timesteps=False, heads=2
    )
    model_config = found(unet(), tmp_path, overrides).config
    assert isinstance(model_config, ModelConfig) and model_config.schedule == LinearBeta(500, 2e-4, 0.04)
    assert (model_config.pictures.height, model_config.pictures.width) == (16, 24)
    assert type(model_config.parametrization).__name__ == "X0"


@pytest.mark.parametrize(("kw", "side"), [
    ({"channel_mult": (1, 2, 2, 2)}, 32), ({"channel_mult": (1, 2, 3, 4)}, 64),
    ({"channel_mult": (1, 1, 2, 3, 4)}, 128),
])  # fmt: skip
def test_sizes_by_levels(kw: dict[str, Any], side: int, tmp_path: Path) -> None:
    config = found(unet(**kw, attention_resolutions=()), tmp_path).config
    assert isinstance(config, ModelConfig) and config.pictures.height == config.pictures.width == side


def test_an_upsampler(tmp_path: Path) -> None:
    theirs = randomized(package().unet.SuperResModel(**(BASE | {"out_channels": 6, "num_heads": 4})))
    ours = ours_of(theirs, tmp_path)
    x, small = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 8, 8)
    large = nn.functional.interpolate(small, (16, 16), mode="bilinear")
    with torch.no_grad():
        expected = theirs(x, torch.tensor([249.75, 749.75]), low_res=small)
        seen = ours(x, torch.tensor([0.25, 0.75], dtype=torch.float64), Condition(image=large))
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)
    assert ours.has_learned_variance and ours.pictures.mode == "RGB"


def diffusion(kind: str, steps: int, respacing: str, rescale: bool) -> Any:
    p = package()
    betas = p.gaussian.get_named_beta_schedule(kind, steps)
    return p.respace.SpacedDiffusion(
        use_timesteps=p.respace.space_timesteps(steps, respacing), betas=betas,
        model_mean_type=p.gaussian.ModelMeanType.EPSILON, model_var_type=p.gaussian.ModelVarType.LEARNED_RANGE,
        loss_type=p.gaussian.LossType.MSE, rescale_timesteps=rescale,
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "steps"), [("cosine", 4000), ("linear", 1000)])
def test_a_whole_walk(kind: Any, steps: int, tmp_path: Path) -> None:
    """DDIM in ten steps, from the same noise."""
    theirs = unet(out_channels=6, num_heads=4)
    ours = ours_of(theirs, tmp_path, ConversionOverrides(schedule=kind, train_timesteps=steps))
    start = torch.randn(2, 3, 16, 16)
    expected = diffusion(kind, steps, "ddim10", True).ddim_sample_loop(
        theirs, (2, 3, 16, 16), noise=start, clip_denoised=False, device="cpu"
    )
    seen = sample(ours.given(), DDIM(), leading(10, steps), start, torch.zeros_like)
    scale = expected.abs().max().item()
    torch.testing.assert_close(seen / scale, expected / scale, rtol=1e-4, atol=1e-4)


def test_learned_variance_is_the_same(tmp_path: Path) -> None:
    theirs = unet(out_channels=6, num_heads=4)
    ours = ours_of(theirs, tmp_path, ConversionOverrides(schedule="cosine", train_timesteps=4000))
    x, k = torch.randn(2, 3, 16, 16), 1500
    expected = diffusion("cosine", 4000, "4000", True).p_mean_variance(
        theirs, x, torch.full((2,), k - 1), clip_denoised=False
    )
    t, s = (torch.tensor(v / 4000, dtype=torch.float64) for v in (k, k - 1))
    with torch.no_grad():
        pred = ours.given()(x, t)
    scale = pred.x0.abs().max().item()
    torch.testing.assert_close(pred.x0 / scale, expected["pred_xstart"] / scale, rtol=1e-4, atol=1e-4)
    std = LearnedRange()(ours.schedule, pred, x, t, s)
    torch.testing.assert_close(std.square().float(), expected["variance"], rtol=1e-4, atol=1e-7)
    close = posterior_mean(ours.schedule, pred, x, t, s)
    torch.testing.assert_close(close, expected["mean"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("pool", ["attention", "adaptive"])
def test_the_noisy_classifier(pool: str, tmp_path: Path) -> None:
    """Its logits, and its gradient as guidance."""
    kw = BASE | ADM | {"out_channels": 4, "num_res_blocks": 2, "pool": pool}
    theirs = randomized(package().unet.EncoderUNetModel(**kw))
    made = build_model(found(theirs, tmp_path, ConversionOverrides(head_channels=16, size=(16, 16))))
    assert isinstance(made, PictureClassifier)
    assert (made.config.net.side, made.config.net.pool) == (16, "attention" if pool == "attention" else "average")
    made.save_pretrained(tmp_path / "classifier")
    ours = PictureClassifier.from_pretrained(tmp_path / "classifier")
    x, t = torch.randn(2, 3, 16, 16), torch.tensor(0.5, dtype=torch.float64)
    shown = torch.full((2,), 499.0)
    with torch.no_grad():
        torch.testing.assert_close(ours(x, t), theirs(x, shown), rtol=1e-4, atol=1e-4)

    leaf = x.clone().requires_grad_()
    theirs(leaf, shown).log_softmax(1)[[0, 1], [3, 1]].sum().backward()
    model = ours_of(unet(num_heads=4), tmp_path, ConversionOverrides(train_timesteps=1000))
    plain, steered = model.given(), GradientGuided(model.given(), ours.log_prob(["3", "1"], 2), scale=2.0)
    alpha, sigma = model.schedule(t)
    moved = (steered(x, t).x0 - plain(x, t).x0) * alpha / sigma**2 / 2.0
    torch.testing.assert_close(moved.float(), leaf.grad, rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="no label is called '7'"):
        ours.log_prob("7")


def test_a_classifier_is_no_model_and_a_model_no_classifier(tmp_path: Path) -> None:
    kw = BASE | ADM | {"out_channels": 4, "pool": "attention"}
    build_model(
        found(randomized(package().unet.EncoderUNetModel(**kw)), tmp_path, ConversionOverrides(heads=2))
    ).save_pretrained(tmp_path / "classifier")
    ours_of(unet(), tmp_path).save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="is a classifier"):
        PictureModel.from_pretrained(tmp_path / "classifier")
    with pytest.raises(InputError, match="is not a classifier"):
        PictureClassifier.from_pretrained(tmp_path / "model")


def test_half_precision_is_noted(tmp_path: Path) -> None:
    theirs = unet()
    theirs.convert_to_fp16()
    half = found(theirs, tmp_path)
    assert half.notes[0] == "weights in float16 were converted to float32"
    assert {t.dtype for t in half.tensors.values()} == {torch.float32}


MULTIPLES = {32: (1, 2, 2, 2), 64: (1, 2, 3, 4), 128: (1, 1, 2, 3, 4), 256: (1, 1, 2, 2, 4, 4)}
README: dict[str, tuple[int, str, dict[str, Any], ConversionOverrides]] = {  # side, attention, flags, overrides
    "64x64_diffusion": (
        64, "32,16,8", {"model_channels": 192, "num_res_blocks": 3, "num_classes": 1000, "out_channels": 6, **ADM},
        ConversionOverrides(attention_order="new"),
    ),
    "128x128_diffusion": (
        128, "32,16,8", {"model_channels": 256, "num_res_blocks": 2, "num_classes": 1000, "out_channels": 6, **ADM},
        ConversionOverrides(heads=4),
    ),
    "256x256_diffusion_uncond": (
        256, "32,16,8", {"model_channels": 256, "num_res_blocks": 2, "out_channels": 6, **ADM}, ConversionOverrides(),
    ),
    "64_256_upsampler": (
        256, "32,16,8",
        {"in_channels": 6, "model_channels": 192, "num_res_blocks": 2, "num_classes": 1000, "out_channels": 6, **ADM},
        ConversionOverrides(heads=4),
    ),
    "imagenet64_cond_270M": (
        64, "16,8",
        {"model_channels": 192, "num_res_blocks": 3, "num_classes": 1000, "out_channels": 6,
         "use_scale_shift_norm": True},
        ConversionOverrides(rescale_timesteps=False),
    ),
    "upsample_cond_500K": (
        256, "16,8",
        {"in_channels": 6, "model_channels": 192, "num_res_blocks": 2, "num_classes": 1000, "out_channels": 6,
         "use_scale_shift_norm": True},
        ConversionOverrides(schedule="linear", train_timesteps=4000, rescale_timesteps=False),
    ),
    "lsun_uncond": (
        256, "16", {"model_channels": 128, "num_res_blocks": 2, "out_channels": 6},
        ConversionOverrides(heads=1, train_timesteps=1000),
    ),
    "cifar10_uncond_50M_500K": (
        32, "16,8", {"model_channels": 128, "num_res_blocks": 3, "out_channels": 6, "use_scale_shift_norm": True},
        ConversionOverrides(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", README)
def test_published_models_are_known_by_their_shape(name: str) -> None:
    """At their full size, without weights: what the shapes tell, and what their READMEs add."""
    side, sides, flags, known = README[name]
    attention = tuple(side // int(s) for s in sides.split(","))
    with torch.device("meta"):
        theirs = package().unet.UNetModel(
            **(BASE | {"image_size": side, "channel_mult": MULTIPLES[side], "attention_resolutions": attention} | flags)
        )
    net = guided_diffusion.infer_config(guided_diffusion.CheckpointTensors(theirs.state_dict(), Path(name)))
    width = flags["model_channels"]
    assert net.channels == tuple(width * m for m in MULTIPLES[side]) and net.blocks == flags["num_res_blocks"]
    assert [2**i for i, attends in enumerate(net.attention) if attends] == sorted(attention)
    assert guided_diffusion.find_published(net) == known
    assert guided_diffusion.guess_side(net) == side
    with torch.device("meta"):
        ours = build(net)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize("depth", [2, 4])
def test_published_classifiers_are_recognized_by_their_attention(depth: int) -> None:
    """Where the way down is all residual blocks, only attention and widths say where a level ends."""
    kw = BASE | ADM | {"model_channels": 128, "num_head_channels": 64, "channel_mult": MULTIPLES[64], "image_size": 64}
    kw |= {"num_res_blocks": depth, "attention_resolutions": (2, 4, 8), "out_channels": 1000, "pool": "attention"}
    with torch.device("meta"):
        theirs = package().unet.EncoderUNetModel(**kw)
    net = guided_diffusion.infer_config(
        guided_diffusion.CheckpointTensors(theirs.state_dict(), Path("64x64_classifier.pt"))
    )
    assert (net.channels, net.blocks) == ((128, 256, 384, 512), depth)
    assert net.attention == (False, True, True, True)


def test_overrides_take_precedence_over_defaults() -> None:
    assert ConversionOverrides(heads=2).with_defaults(
        ConversionOverrides(heads=4, head_channels=8, train_timesteps=7)
    ) == ConversionOverrides(heads=2, train_timesteps=7)


def change(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    if name == "missing":
        del state["input_blocks.1.0.out_layers.0.bias"]
    if name == "extra":
        state["middle_block.3.in_layers.0.weight"] = torch.zeros(64)
    if name == "shape":
        state["middle_block.2.in_layers.2.weight"] = torch.zeros(64, 64, 5, 5)
    return state


@pytest.mark.parametrize(("name", "tensor"), [
    ("missing", "input_blocks.1.0.out_layers.0.bias"), ("extra", "middle_block.3.in_layers.0.weight"),
    ("shape", "middle_block.2.in_layers.2.weight"),
])  # fmt: skip
def test_the_first_tensor_that_differs_is_named(name: str, tensor: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=tensor.replace(".", r"\.")) as error:
        found(change(dict(unet().state_dict()), name), tmp_path)
    assert "improved-diffusion" in str(error.value)


def test_heads_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="heads is 5"):
        found(unet(), tmp_path, ConversionOverrides(heads=5))
