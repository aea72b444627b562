"""Folders of diffusers with variants, shards and checkpoints of training scripts; and configs of wrong types."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from noisette.errors import InputError
from noisette.interop.base import ConversionOverrides
from noisette.interop.convert import convert_source
from noisette.interop.diffusers_export import to_diffusers, write_diffusers
from noisette.models.config import ModelConfig
from noisette.models.picture_model import PictureModel
from noisette.nn.architecture import UNetConfig
from tiny_models import tiny

NAME = "diffusion_pytorch_model"


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A folder as diffusers writes it."""
    model = tiny("RGB", (), channels=(8, 8))
    assert isinstance(model.config, ModelConfig) and isinstance(model.config.net, UNetConfig)
    write_diffusers(to_diffusers(PictureModel(model.config)), tmp_path / "pipeline")
    (tmp_path / "pipeline" / "noisette.json").unlink()
    return tmp_path / "pipeline"


def convert(path: Path) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    converted = convert_source(path, ConversionOverrides())
    return converted.tensors, converted.notes


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("variant", ["ema", "fp16", "non_ema"])
def test_weights_of_any_variant_are_read_and_named(pipeline: Path, variant: str) -> None:
    expected, _ = convert(pipeline)
    weights = pipeline / "unet" / f"{NAME}.safetensors"
    weights.rename(weights.with_name(f"{NAME}.{variant}.safetensors"))
    found, notes = convert(pipeline)
    assert same(found, expected) and f"the weights of the variant '{variant}' are used" in notes


def test_plain_weights_come_before_variants_and_the_average_before_others(pipeline: Path) -> None:
    unet = pipeline / "unet"
    expected, _ = convert(pipeline)
    halved = {name: tensor / 2 for name, tensor in load_file(unet / f"{NAME}.safetensors").items()}
    for variant in ("a", "ema"):
        save_file(halved if variant == "ema" else {}, unet / f"{NAME}.{variant}.safetensors")
    found, notes = convert(pipeline)
    assert same(found, expected) and any("variant 'a' and 'ema', which are not used" in note for note in notes)
    (unet / f"{NAME}.safetensors").unlink()
    found, _ = convert(pipeline)
    assert not same(found, expected)


@pytest.mark.parametrize("variant", ["", "ema"])
def test_shards_are_one(pipeline: Path, variant: str) -> None:
    expected, _ = convert(pipeline)
    unet, dot = pipeline / "unet", f".{variant}" if variant else ""
    tensors = load_file(unet / f"{NAME}.safetensors")
    (unet / f"{NAME}.safetensors").unlink()
    names = sorted(tensors)
    places = {name: f"{NAME}{dot}-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(places.values()):
        save_file({name: tensors[name] for name in names if places[name] == file}, unet / file)
    index = unet / f"{NAME}.safetensors.index{dot}.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    assert same(convert(pipeline)[0], expected)
    for change, says in (
        ({names[0]: "../../secret.safetensors"}, "must be in its own folder"),
        ({names[0]: f"{NAME}/../../x.safetensors"}, "must be in its own folder"),
        ({names[0]: 3}, "must be in its own folder"),
        ({names[0]: f"{NAME}-00009-of-00009.safetensors"}, "cannot read .*00009"),
        ({"ghost": places[names[0]]}, "lists the tensor ghost, which is in none of its 2 files"),
    ):
        index.write_text(json.dumps({"weight_map": places | change}))
        with pytest.raises(InputError, match=says):
            convert(pipeline)
    index.write_text(json.dumps({"weight_map": []}))
    with pytest.raises(InputError, match=r"weight_map is .*, and should be an object"):
        convert(pipeline)


def test_a_checkpoint_of_a_training_script_names_its_networks(pipeline: Path, tmp_path: Path) -> None:
    for name in ("unet", "unet_ema"):
        shutil.copytree(pipeline / "unet", tmp_path / "checkpoint-500" / name)
    with pytest.raises(InputError, match=r"training script.*: give .*unet_ema or .*checkpoint-500/unet"):
        convert(tmp_path / "checkpoint-500")
    convert(tmp_path / "checkpoint-500" / "unet_ema")
    with pytest.raises(InputError, match=r"whose settings are in its config\.json: give the folder with both"):
        convert(pipeline / "unet" / f"{NAME}.safetensors")


WRONG: tuple[Any, ...] = (None, True, -1, 0, 10**30, 1e300, "x", [], [[]], {}, {"a": 1})


@pytest.mark.parametrize("file", ["unet/config.json", "scheduler/scheduler_config.json", "model_index.json"])
def test_every_key_of_every_config_may_be_of_any_type(pipeline: Path, file: str) -> None:
    """Read as if it were right, or refused in one sentence; never anything else."""
    path = pipeline / file
    good = json.loads(path.read_text())
    refused = 0
    for key in good:
        for wrong in WRONG:
            path.write_text(json.dumps(good | {key: wrong}))
            try:
                convert(pipeline)
            except InputError as error:
                assert "\n" not in str(error)
                refused += 1
    path.write_text("[]")
    if file != "model_index.json":
        assert refused > 40
        with pytest.raises(InputError, match="should be a JSON object"):
            convert(pipeline)
