"""Every kind of file that noisette reads, and how. The good files are the fixtures of version 0.1.0 and new ones."""

import io
import json
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import noisette
from data.sprite_build import File, cel, layer, link, palette, slice_, tags
from encoders import random_bert
from noisette.cli.diagnosis import diagnose_run
from noisette.data import Dataset
from noisette.data.decode import BadPicture, decode
from noisette.data.levels import scale_source
from noisette.data.palette import Palette, read_palette
from noisette.data.png import read_metadata, read_png, write_png
from noisette.data.source import open_source
from noisette.data.text import CaptionEmbeddings, open_encoder
from noisette.edit.hspace import load_directions
from noisette.errors import InputError
from noisette.evaluation.steps import StepsReport
from noisette.interop.base import ConversionOverrides
from noisette.interop.convert import build_model, convert_source
from noisette.interop.sheet_formats import write_sheet
from noisette.interop.sheet_layout import SheetPicture, pack_sheet
from noisette.io import checkpoint
from noisette.io.files import file_sha256
from noisette.io.json_files import json_bytes, read_json, read_object
from noisette.io.metrics_log import read_metrics
from noisette.io.run_config import read_run_config
from noisette.models.classifier import PictureClassifier
from noisette.models.config import from_json
from noisette.models.picture_model import PictureModel
from noisette.report.card import recipe_facts
from noisette.report.run import Run
from noisette.sampling.record import read_record
from noisette.sampling.request import make_request
from noisette.sampling.run import draw_request
from noisette.studio.trainer import TrainingJob
from noisette.training import snapshots
from noisette.training.plan import TrainingPlan
from noisette.training.recipes.presets import PRESETS
from noisette.training.recipes.recipe import apply_overrides
from tiny_models import tiny

from .mutation import Kind

FIXTURES = Path(__file__).parent.parent / "fixtures" / "v0.1.0"
MODELS = (
    "plain", "context", "dit", "given-betas", "linear-attention", "quadratic", "attributes", "variant", "upscaler",
)  # fmt: skip
REQUEST = {"steps": 1, "n": 1, "batch": 1}


def copy_of(*names: str, checked: bool = False) -> Callable[[Path], list[str]]:
    """Makes a kind's files: those of a fixture, whose folder is the first name. checked: JSON gets a checksum."""

    def make(folder: Path) -> list[str]:
        source, *files = names
        shutil.copytree(FIXTURES / source, folder, dirs_exist_ok=True)
        for path in folder.rglob("*.json") if checked else ():
            if path.name != "state.json":
                path.write_bytes(json_bytes(json.loads(path.read_text()), path))
        return files

    return make


def read_model(folder: Path) -> object:
    model = PictureModel.from_pretrained(folder)
    if model.pictures.height * model.pictures.width > 64 * 64 or model.config.task.input_spec(model.pictures):
        return model
    return draw_request(model, make_request(model, **REQUEST))


def read_weights(folder: Path) -> object:
    """Weights whose hash is in the config, as in a stranger's model."""
    path = folder / "config.json"
    digest = file_sha256(folder / "model.safetensors")
    path.write_bytes(json_bytes(read_object(path) | {"weights_sha256": digest}, path))
    return read_model(folder)


def read_run(folder: Path) -> object:
    path = folder / "config.json"
    facts = diagnose_run(folder)
    config = read_run_config(path)
    plan = from_json(TrainingPlan, config.plan, str(path))
    recipe_facts(plan.recipe.model, folder)
    return facts, Run(folder).plan, PictureModel.from_pretrained(folder / "checkpoints" / "000003200")


def read_data(folder: Path) -> object:
    data = Dataset.open(folder)
    rows = torch.arange(min(4, len(data.train)))
    return data.train.condition(rows), data.held_out, data.sigma_data


def read_captions(folder: Path) -> object:
    captions = CaptionEmbeddings.open(folder)
    return None if captions is None else captions.tokens([*captions.row_ranges][:2])


def read_checkpoint(folder: Path) -> object:
    found = checkpoint.find_latest(folder)
    return None if found is None else [found.read_tensors(part) for part in found.parts]


def read_snapshots(folder: Path) -> object:
    return snapshots.select_snapshot(folder), snapshots.describe_selection(folder)


def make_recipe(folder: Path) -> list[str]:
    shutil.copyfile(FIXTURES / "recipes" / "bound.json", folder / "recipe.json")
    return ["recipe.json"]


def read_recipe(folder: Path) -> object:
    base = PRESETS["tiny"](tiny().pictures, 0.5)
    return apply_overrides(base, str(folder / "recipe.json")).build_loss()


def read_source(folder: Path) -> object:
    """As scan and train do: list, and decode what is listed."""
    suffixes = (".zip", ".npz", ".npy", ".tar", ".parquet")
    path = next((p for p in folder.iterdir() if p.suffix in suffixes), folder)
    return _decode_all(open_source(path))


def _decode_all(source: Any) -> int:
    count = 0
    for entry in source.entries:
        try:
            data = entry.read()
            count += 1 if isinstance(data, np.ndarray) else decode(data).pixels.shape[0]
        except (BadPicture, OSError):
            continue  # quarantined by scan
    return count


def make_pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(rng.integers(0, 256, (8, 8, 4), np.uint8), "RGBA").save(folder / f"{i}.png")


def make_encoder(folder: Path) -> list[str]:
    random_bert(folder)
    return ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]


def read_encoder(folder: Path) -> object:
    return open_encoder(str(folder))(["a red fish", "tool"])


def make_table(name: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        make_pictures(folder)
        rows = [{"file_name": f"{i}.png", "label": "ab"[i % 2], "text": f"a fish {i}", "hue": i / 6} for i in range(6)]
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        text = "\n".join(map(json.dumps, rows)) if name.endswith("jsonl") else "\n".join(lines)
        (folder / name).write_text(text)
        return [name]

    return make


def make_zip(folder: Path) -> list[str]:
    pictures = folder.parent / f"{folder.name}-pictures"
    pictures.mkdir(exist_ok=True)
    make_pictures(pictures)
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(pictures.iterdir()):
            archive.write(path, f"ab/{path.name}"[path.stem == "0" :])
    return ["a.zip"]


def make_tar(folder: Path) -> list[str]:
    pictures = folder.parent / f"{folder.name}-pictures"
    pictures.mkdir(exist_ok=True)
    make_pictures(pictures)
    with tarfile.open(folder / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(pictures.iterdir()):
            archive.add(path, f"{'long' * 40 if path.stem == '1' else ''}{path.name}")
            for suffix, content in ((".cls", b"3"), (".json", b'{"text": "a fish", "hue": 0.5}')):
                info = tarfile.TarInfo(path.stem + suffix)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return ["a.tar"]


def make_parquet(folder: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pictures = folder.parent / f"{folder.name}-pictures"
    pictures.mkdir(exist_ok=True)
    make_pictures(pictures)
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted(pictures.iterdir())]
    features = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["a", "b"]}}}}
    columns = {"image": images, "label": [i % 2 for i in range(6)], "text": ["a fish"] * 6}
    table = pa.table(columns).replace_schema_metadata({b"huggingface": json.dumps(features).encode()})
    pq.write_table(table, folder / "a.parquet", row_group_size=4)
    return ["a.parquet"]


def make_array(name: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        pixels = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8)
        if name.endswith("npz"):
            np.savez_compressed(folder / name, images=pixels, labels=np.arange(10) % 2)
        else:
            np.save(folder / name, pixels)
        return [name]

    return make


def make_images(folder: Path) -> list[str]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    kinds = (
        ("png", "RGB"), ("png", "P"), ("png", "LA"), ("jpeg", "RGB"), ("gif", "P"), ("webp", "RGB"), ("bmp", "RGB"),
        ("tiff", "RGB"), ("tiff", "L"),
    )  # fmt: skip
    for number, (kind, mode) in enumerate(kinds):
        Image.fromarray(pixels).convert(mode).save(folder / f"{number}.{kind}")
    return sorted(p.name for p in folder.iterdir())


def read_images(folder: Path) -> object:
    shapes = []
    for path in sorted(folder.iterdir()):
        try:
            shapes.append(decode(path.read_bytes()).pixels.shape)
        except BadPicture as error:
            refusal = InputError(f"{path} {error}")
    if len(shapes) < 9:
        raise refusal
    return shapes


def make_atlases(folder: Path) -> list[str]:
    """A sheet with each file that describes it."""
    pixels = np.random.default_rng(0).integers(1, 256, (4, 3, 8, 8), np.uint8)
    pictures = [SheetPicture(f"p{i}", torch.from_numpy(pixels[i : i + 1]), "ab"[i % 2], seed=i) for i in range(4)]
    for kind in ("aseprite", "phaser", "tiled"):
        write_sheet(pack_sheet(pictures, 2), folder, kind, name=kind)
    return ["aseprite.json", "phaser.json", "tiled.tsx"]


def read_atlases(folder: Path) -> object:
    names = ("aseprite.json", "phaser.json", "tiled.tsx")
    return [[e.read() for e in open_source(folder / name).entries] for name in names]


def make_sprites(folder: Path) -> list[str]:
    """Files with layers, blend modes, links, tags and slices, in RGBA and in colors of a palette."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 12, 12, 4), np.uint8)
    layers = [layer("a"), layer("group", kind=1), layer("b", level=1, mode=3, opacity=99), tags((0, 1, "walk"))]
    frames = [[*layers, cel(a), cel(b, 2, -3, 2)], [link(0), cel(b, 2, z=-1)], [cel(a, packed=False)]]
    (folder / "rgba.aseprite").write_bytes(File(14, 10, frames).encode())
    frames[0].append(slice_("head", (0, 1, 1, 6, 6), (2, 0, 0, 20, 20), flags=3))
    (folder / "slices.aseprite").write_bytes(File(14, 10, frames).encode())
    indexed = [palette(a[0], name="ink"), layer(flags=9), cel(b[..., 0] % 12)]
    (folder / "indexed.ase").write_bytes(File(12, 12, [indexed, [link(0)]], depth=8).encode())
    return ["rgba.aseprite", "slices.aseprite", "indexed.ase"]


def make_palettes(folder: Path) -> list[str]:
    """A palette of each kind of file: those that are written, Paint.NET's and Adobe's."""
    palette = Palette(tuple(f"#{40 * i:02x}80{255 - i:02x}" for i in range(6)))
    for ending in (".gpl", ".hex", ".pal", ".png"):
        palette.write(folder / f"a{ending}")
    (folder / "a.txt").write_text("; Paint.NET palette\n" + "".join(f"FF{color[1:]}\n" for color in palette.colors))
    blocks = [struct.pack(">HIHH4s3fH", 1, 22, 1, 0, b"RGB ", *(v / 255 for v in rgb), 2) for rgb in palette.rgb]
    (folder / "a.ase").write_bytes(b"ASEF\0\1\0\0" + struct.pack(">I", len(blocks)) + b"".join(blocks))
    return sorted(p.name for p in folder.iterdir())


def make_stacks(folder: Path) -> list[str]:
    """TIFF files of several pages, each packed in another way."""
    rng = np.random.default_rng(0)
    for packing in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        pages = [Image.fromarray(rng.integers(0, 256, (40, 12, 3), np.uint8)) for _ in range(3)]
        pages[0].save(folder / f"{packing}.tif", save_all=True, append_images=pages[1:], compression=packing)
    return sorted(p.name for p in folder.iterdir())


def make_deep(folder: Path) -> list[str]:
    """Gray TIFFs of 16 bits and of floating-point numbers."""
    rng = np.random.default_rng(0)
    for number, packing in enumerate(("raw", "tiff_lzw", "tiff_adobe_deflate")):
        for kind in (np.uint16, np.float32):
            samples = rng.uniform(100, 900, (12, 10)).astype(kind)
            Image.fromarray(samples).save(folder / f"{number}-{kind.__name__}.tif", compression=packing)
    return sorted(p.name for p in folder.iterdir())


def make_png(folder: Path) -> list[str]:
    """A picture with its metadata, and the metadata alone, which `read_png_record` puts into the picture."""
    shutil.copyfile(next(FIXTURES.rglob("samples/*.png")), folder / "sheet.png")
    model = tiny()
    request = make_request(model, 1, steps=1, text=None)
    write_png(folder / "a.png", draw_request(model, request), asdict(request.record(0)))
    (folder / "record.json").write_bytes(json.dumps(read_metadata(folder / "a.png")).encode())
    return ["a.png", "record.json", "sheet.png"]


def read_png_record(folder: Path) -> object:
    read_png(folder / "sheet.png")
    pixels, metadata = read_png(folder / "a.png")
    read_record(metadata, "a.png")
    metadata = read_object(folder / "record.json")
    try:
        write_png(folder.parent / "with.png", torch.zeros(1, 4, 8, 8, dtype=torch.uint8), metadata)
    except ValueError:  # what a person cannot have written
        return pixels
    return read_record(read_metadata(folder.parent / "with.png"), "with.png")


def make_pickles(folder: Path) -> list[str]:
    """A checkpoint of the sprites course and one of denoising-diffusion-pytorch, each in both formats of torch."""
    from interop.reference import denoising_diffusion_pytorch

    package = denoising_diffusion_pytorch()
    net = package.Unet(8, dim_mults=(1, 2), channels=3)
    process = package.GaussianDiffusion(net, image_size=8, timesteps=20)
    for name, archive in (("ddpm.pt", True), ("ddpm-old.pt", False)):
        torch.save(process.state_dict(), folder / name, _use_new_zipfile_serialization=archive)
    return ["ddpm.pt", "ddpm-old.pt"]


def read_pickles(folder: Path) -> object:
    return [build_model(convert_source(path, ConversionOverrides(size=(16, 16)))) for path in sorted(folder.iterdir())]


def make_diffusers(folder: Path) -> list[str]:
    shutil.copytree(FIXTURES / "diffusers", folder, dirs_exist_ok=True)
    (folder / "noisette.json").unlink()
    return ["model_index.json", "scheduler/scheduler_config.json", "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors"]  # fmt: skip


def read_diffusers(folder: Path) -> object:
    return build_model(convert_source(folder, ConversionOverrides()))


def read_job(folder: Path) -> object:
    return from_json(TrainingJob, read_json(folder / "mine.json"), "mine.json").command(Path("out"))


def model_hash_of(name: str) -> str:
    return noisette.load(FIXTURES / name).hash


KINDS: tuple[Kind, ...] = (
    *(Kind(f"model {name}", copy_of(f"model-{name}", "config.json", "model.safetensors"), read_model)
      for name in MODELS),
    Kind("model weights", copy_of("model-plain", "model.safetensors"), read_weights),
    Kind("model with checksum", copy_of("run/model", "config.json", checked=True), read_model),
    Kind("classifier", copy_of("classifier", "config.json", "model.safetensors"), PictureClassifier.from_pretrained),
    Kind("run", copy_of("run", "config.json", "metrics.jsonl", "data.json"), read_run),
    Kind("run with checksums", copy_of("run", "config.json", "data.json", checked=True), read_run),
    Kind("data set", copy_of("run", "data.json", "data/pixels.npy"), read_data),
    Kind("captions", copy_of("model-text", "data/text.json", "data/text.npy"), read_captions),
    Kind("checkpoint", copy_of("run", *(f"checkpoints/000003200/{n}" for n in
         ("state.json", "ema.safetensors", "optimizer.safetensors"))), read_checkpoint),
    Kind("snapshots", copy_of("run-checked", "snapshots/000001024/checkup.json", "snapshots/000003072/checkup.json"),
         read_snapshots),
    Kind("steps", copy_of("steps", "steps.json"), lambda f: StepsReport.parse(f / "steps.json")),
    Kind("metrics", copy_of("run", "metrics.jsonl"), lambda f: read_metrics(f / "metrics.jsonl")),
    Kind("recipe", make_recipe,
         read_recipe),
    Kind("directions", copy_of("run", "directions.safetensors"),
         lambda f: load_directions(f / "directions.safetensors", model_hash_of("run"))),
    Kind("studio job", copy_of("studio/.studio", "mine.json"), read_job),
    Kind("PNG metadata", make_png, read_png_record),
    Kind("PyTorch checkpoint", make_pickles, read_pickles),
    Kind("diffusers", make_diffusers, read_diffusers),
    Kind("text encoder", make_encoder, read_encoder),
    Kind("metadata.csv", make_table("metadata.csv"), read_source),
    Kind("metadata.jsonl", make_table("metadata.jsonl"), read_source),
    Kind("atlases", make_atlases, read_atlases),
    Kind("Aseprite", make_sprites, lambda f: [_decode_all(open_source(path)) for path in sorted(f.iterdir())]),
    Kind("palettes", make_palettes, lambda f: [read_palette(path) for path in sorted(f.iterdir())]),
    Kind("npz", make_array("a.npz"), read_source),
    Kind("npy", make_array("a.npy"), read_source),
    Kind("zip", make_zip, read_source),
    Kind("tar", make_tar, read_source),
    Kind("parquet", make_parquet, read_source),
    Kind("images", make_images, read_images),
    Kind("deep TIFFs", make_deep, lambda f: _decode_all(scale_source(open_source(f), (1.0, 99.0))[0])),
    Kind("TIFF stacks", make_stacks, read_source),
)  # fmt: skip
