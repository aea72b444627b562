"""Autoencoders that diffusers itself wrote, tiny and random: ours encode and decode the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, VQModel
from safetensors.torch import load_file, save_file

from commands import run
from noisette.errors import InputError
from noisette.interop.base import ConversionOverrides
from noisette.interop.convert import convert_model
from noisette.models.diffusers_autoencoder import find_folder, open_folder
from noisette.models.picture_autoencoder import PictureAutoencoder
from noisette.training.latent_data import open_autoencoder

WEIGHTS = "diffusion_pytorch_model.safetensors"


def kl(*widths: int, **changes: Any) -> AutoencoderKL:
    levels = {"down_block_types": ("DownEncoderBlock2D",), "up_block_types": ("UpDecoderBlock2D",)}
    return AutoencoderKL(
        block_out_channels=widths, **{name: len(widths) * types for name, types in levels.items()},
        **({"norm_num_groups": 4} | changes),
    )  # fmt: skip


def taesd(**changes: Any) -> AutoencoderTiny:
    small = {
        "encoder_block_out_channels": (16, 16), "decoder_block_out_channels": (16, 16), "num_encoder_blocks": (1, 2),
        "num_decoder_blocks": (2, 1),
    }  # fmt: skip
    return AutoencoderTiny(**(small | changes))


NETWORKS: dict[str, Callable[[], Any]] = {
    "KL": lambda: kl(16, 32, layers_per_block=2, norm_num_groups=8),
    "KL, odd channels": lambda: kl(12, 20, 8, latent_channels=3),
    "KL, one level": lambda: kl(8, latent_channels=16),
    "KL, RGBA, without attention and 1 × 1 convolutions": lambda: kl(
        8, 12, in_channels=4, out_channels=4, mid_block_add_attention=False, use_quant_conv=False,
        use_post_quant_conv=False,
    ),
    "tiny": taesd,
    "tiny, TAESD's own levels": lambda: AutoencoderTiny(
        encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(12,) * 4
    ),
    "tiny, gray, odd": lambda: taesd(
        in_channels=1, out_channels=1, latent_channels=5, act_fn="swish", num_decoder_blocks=(0, 1),
        decoder_block_out_channels=(9, 9),
    ),
}  # fmt: skip


def saved(network: torch.nn.Module, folder: Path) -> Any:
    """The network with random weights that keep the size of its features, written by diffusers."""
    generator = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
        torch.nn.init.normal_(parameter, std=scale, generator=generator)
    network.eval().requires_grad_(False).save_pretrained(folder)  # type: ignore[operator]
    return network


def edit(folder: Path, **changes: Any) -> None:
    """Change keys of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_it_encodes_and_decodes_as_diffusers_does(name: str, tmp_path: Path) -> None:
    theirs = saved(NETWORKS[name](), tmp_path / "vae")
    ours = open_folder(tmp_path / "vae")
    net = ours.config.net
    x = 2 * torch.rand(2, net.channels, 24, 16, generator=torch.Generator().manual_seed(0)) - 1
    mean, log_variance = ours.net.encode(x)
    encoded = theirs.encode(x)
    if isinstance(theirs, AutoencoderKL):
        expected = encoded.latent_dist.mean
        assert log_variance is not None and (log_variance - encoded.latent_dist.logvar).abs().max() < 1e-4
    else:
        expected = encoded.latents
        assert log_variance is None
    assert mean.shape == (2, net.latent_channels, 24 // net.factor, 16 // net.factor) and expected.std() > 0.1
    assert (mean - expected).abs().max() < 1e-4
    decoded = theirs.decode(expected).sample
    assert (ours.net.decode(expected) - decoded).abs().max() < 1e-4 and decoded.std() > 0.1


@pytest.mark.parametrize("network", [lambda: kl(8, 12), taesd])
def test_a_converted_folder_is_one_of_ours(network: Callable[[], Any], tmp_path: Path) -> None:
    theirs = saved(network(), tmp_path / "vae")
    report = convert_model(tmp_path / "vae", tmp_path / "ours", ConversionOverrides())
    assert report.parameters == sum(p.numel() for p in theirs.parameters())
    assert report.family == f"diffusers' {type(theirs).__name__}" and "each run measures it" in report.notes[-1]
    again = PictureAutoencoder.from_pretrained(tmp_path / "ours")
    opened = open_autoencoder(str(tmp_path / "vae"))
    state = opened.net.state_dict()
    assert opened.hash == again.hash and opened.name == "vae"
    assert all(torch.equal(value, state[name]) for name, value in again.net.state_dict().items())
    assert again.config.mode == "RGB" and again.config.scale == ()
    written = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert written["autoencoder"]["net"]["is"] == f"{type(theirs).__name__}Config"


def test_the_command_converts_and_the_autoencoder_of_a_pipeline_is_found(tmp_path: Path) -> None:
    saved(taesd(), tmp_path / "pipeline" / "vae")
    (tmp_path / "pipeline" / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (tmp_path / "pipeline" / "unet").mkdir()
    (tmp_path / "pipeline" / "unet" / "config.json").write_text('{"_class_name": "UNet2DConditionModel"}')
    assert find_folder(tmp_path / "pipeline") == tmp_path / "pipeline" / "vae"
    with pytest.raises(InputError) as error:
        convert_model(tmp_path / "pipeline", tmp_path / "out", ConversionOverrides())
    assert f"its autoencoder, which may be, is {tmp_path / 'pipeline' / 'vae'}" in str(error.value)
    with pytest.raises(InputError, match="--heads has no effect"):
        convert_model(tmp_path / "pipeline" / "vae", tmp_path / "out", ConversionOverrides(heads=2))
    assert not (tmp_path / "out").exists()
    done = run("convert", tmp_path / "pipeline" / "vae", tmp_path / "out")
    assert done.returncode == 0 and "AutoencoderTinyConfig" in done.stdout, done.stderr
    assert PictureAutoencoder.from_pretrained(tmp_path / "out").config.net.latent_channels == 4


@torch.no_grad()
def test_old_names_and_half_precision_are_read(tmp_path: Path) -> None:
    theirs = saved(kl(8, 12), tmp_path / "vae")
    tensors = load_file(tmp_path / "vae" / WEIGHTS)
    for old, new in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")):
        for name in [name for name in tensors if f".{new}." in name]:
            value = tensors.pop(name)
            tensors[name.replace(new, old)] = value[:, :, None, None] if value.ndim == 2 else value
    save_file(tensors, tmp_path / "vae" / WEIGHTS)
    x = torch.rand(1, 3, 8, 8)
    expected = theirs.encode(x).latent_dist.mean
    assert (open_folder(tmp_path / "vae").net.encode(x)[0] - expected).abs().max() < 1e-4
    save_file({name: value.half() for name, value in tensors.items()}, tmp_path / "vae" / WEIGHTS)
    assert 0 < (open_folder(tmp_path / "vae").net.encode(x)[0] - expected).abs().max() < 1e-2


def test_what_is_not_supported_is_refused_by_name(tmp_path: Path) -> None:
    saved(kl(8, 12), tmp_path / "kl")
    saved(taesd(), tmp_path / "tiny")
    VQModel(block_out_channels=(8,), norm_num_groups=4).save_pretrained(tmp_path / "vq")
    with pytest.raises(InputError, match="class VQModel: supported autoencoders are AutoencoderKL and Auto"):
        open_autoencoder(str(tmp_path / "vq"))
    original = {name: (tmp_path / name / "config.json").read_bytes() for name in ("kl", "tiny")}
    for name, changes, says in (
        ("kl", {"down_block_types": ["AttnDownEncoderBlock2D"] * 2}, "AttnDownEncoderBlock2D are not supported"),
        ("kl", {"up_block_types": ["UpDecoderBlock2D"]}, "up_block_types has 1 entries and block_out_channels 2"),
        ("kl", {"act_fn": "gelu"}, "act_fn is 'gelu'"),
        ("kl", {"out_channels": 6}, "in_channels is 3 and out_channels 6"),
        ("kl", {"in_channels": 9, "out_channels": 9}, "channels is 9: it must be 1 to 4"),
        ("kl", {"block_out_channels": [8, 10**9]}, "widths is"),
        ("kl", {"block_out_channels": [1024, 1024]}, "one of the two belongs to another model"),
        ("kl", {"layers_per_block": 10**9}, "blocks is 1000000000"),
        ("kl", {"norm_num_groups": 3}, "a divisor of the widths 8, 12"),
        ("kl", {"norm_num_groups": 0}, "a divisor of the widths 8, 12"),
        ("kl", {"use_quant_conv": False}, "has a tensor quant_conv"),
        ("kl", {"block_out_channels": []}, "down_block_types has 2 entries and block_out_channels 0"),
        ("tiny", {"encoder_block_out_channels": [16, 24]}, "it needs 2 equal widths"),
        ("tiny", {"upsampling_scaling_factor": 4}, "supported: 2"),
        ("tiny", {"act_fn": "elu"}, "one of relu, silu, mish, gelu"),
        ("tiny", {"num_decoder_blocks": [1], "decoder_block_out_channels": [16]}, "2 numbers, as encoder_blocks"),
        ("tiny", {"num_encoder_blocks": [1, 10**9]}, "numbers from 0 to 16"),
        ("tiny", {"_class_name": "AutoencoderDC"}, "the class AutoencoderDC: supported"),
        ("tiny", {"_class_name": ["AutoencoderTiny"]}, "supported autoencoders"),
    ):  # fmt: skip
        (tmp_path / name / "config.json").write_bytes(original[name])
        edit(tmp_path / name, **changes)
        with pytest.raises(InputError, match=says) as error:
            open_autoencoder(str(tmp_path / name))
        assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("network", [lambda: kl(8), taesd])
def test_every_key_of_a_config_may_be_of_any_type(network: Callable[[], Any], tmp_path: Path) -> None:
    saved(network(), tmp_path / "vae")
    config = json.loads((tmp_path / "vae" / "config.json").read_text())
    for key in config:
        for value in (None, -1, "x", ["x", 1]):
            (tmp_path / "vae" / "config.json").write_text(json.dumps(config | {key: value}))
            try:
                open_autoencoder(str(tmp_path / "vae"))
            except InputError as error:
                assert "\n" not in str(error)


def test_weights_that_are_damaged_are_refused(tmp_path: Path) -> None:
    saved(taesd(), tmp_path / "vae")
    tensors = load_file(tmp_path / "vae" / WEIGHTS)
    name = "decoder.layers.0.bias"
    save_file(tensors | {name: torch.full_like(tensors[name], torch.nan)}, tmp_path / "vae" / WEIGHTS)
    with pytest.raises(InputError, match="not finite"):
        open_autoencoder(str(tmp_path / "vae"))
    with pytest.raises(InputError, match="not finite"):
        convert_model(tmp_path / "vae", tmp_path / "out", ConversionOverrides())
    assert not (tmp_path / "out").exists()
    tensors.pop(name)
    save_file(tensors, tmp_path / "vae" / WEIGHTS)
    with pytest.raises(InputError, match=r"has no tensor decoder\.layers\.0\.bias"):
        open_autoencoder(str(tmp_path / "vae"))
    (tmp_path / "vae" / WEIGHTS).unlink()
    with pytest.raises(InputError, match="has no weights"):
        open_autoencoder(str(tmp_path / "vae"))
