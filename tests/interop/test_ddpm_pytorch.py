"""denoising-diffusion-pytorch's own network and diffusion, tiny and random: ours answers, and draws, the same."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisette.diffusion.condition import Condition
from noisette.diffusion.grid import leading
from noisette.diffusion.guidance import Clipped
from noisette.diffusion.parametrization import X0, Epsilon, V
from noisette.diffusion.sampler import DDIM, sample
from noisette.diffusion.schedule import Cosine, GammaSigmoid, GivenBetas, LinearBeta
from noisette.errors import InputError
from noisette.interop.base import ConversionOverrides, ConvertedModel
from noisette.interop.convert import build_model, convert_source
from noisette.models.config import ModelConfig
from noisette.models.picture_model import PictureModel
from noisette.nn.linear_attention import LinearAttentionUNetConfig

from .reference import denoising_diffusion_pytorch, randomized

BASE: dict[str, Any] = {"dim": 8, "dim_mults": (1, 2), "channels": 3, "attn_dim_head": 4, "attn_heads": 2}
NETWORKS: dict[str, dict[str, Any]] = {
    "usual": {},
    "gray, another stem": {"channels": 1, "init_dim": 12},
    "full attention everywhere, flash": {"full_attn": (True, True), "flash_attn": True},
    "three levels, heads of their own": {
        "dim_mults": (1, 2, 2), "attn_heads": (1, 2, 3), "attn_dim_head": (4, 6, 8), "full_attn": (False, True, False),
    },
}  # fmt: skip


def diffusion(kw: dict[str, Any], **process: Any) -> Any:
    theirs = denoising_diffusion_pytorch()
    made = theirs.GaussianDiffusion(theirs.Unet(**(BASE | kw)), **({"image_size": 16} | process))
    return randomized(made, 0.2)


def found(state: Any, folder: Path, **overrides: Any) -> ConvertedModel:
    path = folder / "model-10.pt"
    torch.save(state, path)
    return convert_source(path, ConversionOverrides(**overrides))


def ours_of(theirs: Any, folder: Path, **overrides: Any) -> PictureModel:
    model = build_model(found(theirs.state_dict(), folder, **({"size": (16, 16)} | overrides)))
    assert isinstance(model, PictureModel)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_answer(name: str, tmp_path: Path) -> None:
    theirs = diffusion(NETWORKS[name])
    ours = ours_of(theirs, tmp_path)
    x, t = torch.randn(2, *ours.pictures.shape), torch.tensor([0.25, 0.75], dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x, t), theirs.model(x, torch.tensor([249.0, 749.0])), rtol=1e-4, atol=1e-4)


PROCESSES: list[tuple[dict[str, Any], type, type]] = [
    ({}, GammaSigmoid, V),
    ({"beta_schedule": "cosine", "objective": "pred_x0", "timesteps": 200}, Cosine, X0),
    ({"beta_schedule": "linear", "objective": "pred_noise", "min_snr_loss_weight": True}, LinearBeta, Epsilon),
    ({"beta_schedule": "sigmoid", "schedule_fn_kwargs": {"tau": 0.7}, "min_snr_loss_weight": True}, GivenBetas, V),
]


@pytest.mark.parametrize(("process", "schedule", "predicts"), PROCESSES, ids=[str(p[0]) for p in PROCESSES])
def test_a_whole_walk(process: dict[str, Any], schedule: type, predicts: type, tmp_path: Path) -> None:
    """Schedule and prediction are read off; then its DDIM update by its own tables, from the same noise."""
    theirs = diffusion({}, **process)
    ours = ours_of(theirs, tmp_path)
    assert (type(ours.schedule), type(ours.parametrization)) == (schedule, predicts)
    steps = 8
    grid = leading(steps, ours.schedule.num_train_timesteps)
    x = start = torch.randn(2, 3, 16, 16)
    seen = sample(Clipped(ours.given()), DDIM(), grid, start, torch.zeros_like)
    with torch.no_grad():
        for t, s in itertools.pairwise(grid):
            index = torch.full((2,), round(t.item() * ours.schedule.num_train_timesteps) - 1)
            pred = theirs.model_predictions(x, index, clip_x_start=True, rederive_pred_noise=True)
            after = (
                theirs.alphas_cumprod[round(s.item() * ours.schedule.num_train_timesteps) - 1]
                if s > 0
                else torch.tensor(1.0)
            )
            x = pred.pred_x_start * after.sqrt() + pred.pred_noise * (1 - after).sqrt()
    torch.testing.assert_close(seen, x, rtol=1e-3, atol=2e-3)


def trainer(theirs: Any, average: Any = None) -> dict[str, Any]:
    """What its Trainer saves."""
    from ema_pytorch import EMA

    ema = EMA(theirs)
    state = ema.state_dict()
    if average is not None:
        state |= {f"ema_model.{k}": v for k, v in average.state_dict().items()}
    opt = torch.optim.Adam(theirs.parameters()).state_dict()
    return {"step": 10, "model": theirs.state_dict(), "opt": opt, "ema": state, "scaler": None, "version": "2.3.4"}


def test_of_a_trainers_checkpoint_the_average_is_taken(tmp_path: Path) -> None:
    theirs, average = diffusion({}), diffusion({})
    with torch.no_grad():
        average.model.final_conv.bias.add_(1.0)
    both = found(trainer(theirs, average), tmp_path)
    assert both.tensors["conv_out.bias"].equal(average.model.final_conv.bias.detach())
    assert both.notes == (
        "the EMA weights are used",
        "not determined by the weights, so assumed: pictures of 32×32 (--size)",
    )
    assert "no EMA weights" in found(theirs.state_dict(), tmp_path).notes[0]


def test_self_conditioning_is_left_out(tmp_path: Path) -> None:
    theirs = diffusion({"self_condition": True})
    ours = ours_of(theirs, tmp_path)
    x = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        expected = theirs.model(x, torch.tensor([499.0]), None)
        torch.testing.assert_close(ours(x, torch.tensor(0.5)), expected, rtol=1e-4, atol=1e-4)


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {k: v for k, v in state.items() if k != name}


def test_what_is_refused(tmp_path: Path) -> None:
    state = diffusion({}).state_dict()
    for name in ("model.downs.0.2.mem_kv", "model.ups.1.0.block1.proj.bias", "loss_weight"):
        with pytest.raises(InputError, match=name.removeprefix("model.").replace(".", r"\.")):
            found(without(state, name), tmp_path)
    with pytest.raises(InputError, match=r"has no tensor cond\.weight"):
        found(state | {"model.cond.weight": torch.zeros(1)}, tmp_path)
    with pytest.raises(InputError, match="frequencies"):
        found(state | {"model.time_mlp.0.weights": torch.zeros(4)}, tmp_path)
    with pytest.raises(InputError, match="no prediction"):
        found(state | {"loss_weight": state["loss_weight"] + 3}, tmp_path)
    with pytest.raises(InputError, match="--train-timesteps has no effect"):
        found(state, tmp_path, train_timesteps=1000)


def test_any_size_no_labels_and_its_own_limits(tmp_path: Path) -> None:
    ours = ours_of(diffusion({}), tmp_path)
    t = torch.tensor(0.5)
    assert ours(torch.randn(1, 3, 9, 13), t).shape == (1, 3, 9, 13)
    with pytest.raises(InputError, match="built to take none"):
        ours(torch.randn(1, 3, 8, 8), t, Condition(label=torch.tensor([0])))
    for change, words in (
        ({"heads": (1,)}, "one entry"), ({"channels": ()}, "1 to 10 widths"), ({"classes": 2}, "takes no labels"),
        ({"memory": 0}, "memory is 0"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            LinearAttentionUNetConfig(**change)  # type: ignore[arg-type]


def test_it_survives_json_and_the_folder(tmp_path: Path) -> None:
    ours = ours_of(diffusion({}), tmp_path)
    ours.save_pretrained(tmp_path / "ours")
    again = PictureModel.from_pretrained(tmp_path / "ours")
    assert again.config == ours.config and isinstance(again.config, ModelConfig)
