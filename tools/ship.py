"""Make a run's model one that comes with the package: python tools/ship.py RUN NAME --attribution POOL/ATTRIBUTION.md

Writes the folder NAME among the models of the package: weights in half precision, config, samples.png, README.md, and
the attribution file that tools/pool writes. A model of that name is replaced. RUN may be one of train-autoencoder.
"""

import argparse
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from noisette.data import Dataset
from noisette.data.contact_sheet import contact_sheet
from noisette.data.png import write_png
from noisette.errors import InputError
from noisette.io import checkpoint
from noisette.io.files import atomic_folder, atomic_write
from noisette.models import shipped
from noisette.models.config import to_json
from noisette.models.initialize import initialize
from noisette.models.picture_autoencoder import CONFIG_KEY, PictureAutoencoder
from noisette.models.picture_model import PictureModel, load
from noisette.report.card import NUM_SAMPLES, SAMPLES_FILE, Licenses, card_sections, find_run, front_matter
from noisette.sampling.draw import draw
from noisette.shapes import UInt8Images
from noisette.training.autoencoder import AutoencoderOptions, is_autoencoder_run, read_options, reconstruct_all

MAX_BYTES = 8_000_000  # of the weights
MAX_DIFFERENCE = 0.5  # mean difference of drawn pixels, in levels of 255, that half precision may make
LICENSE = "Apache-2.0"  # of the weights

INTENDED_USE = """\
To start from: `noisette train FOLDER --from {name}` for small pictures such as icons and sprites, of any size near to
{size} pixels; without `--from`, `noisette train` chooses it where it fits. By itself (`noisette sample {name}`) it
draws pictures of no particular kind."""
MISUSE = """\
- Not for photographs, faces of people, text or medical pictures: it has seen icons, emoji and clip art alone.
- Not for logos: pictures whose names are brands were left out of the training pictures; a sample can resemble one.
- Not where samples must not resemble any training picture: a sample can be close to one, and `noisette evaluate`
  compares samples with your own pictures, not with these.
- The training pictures include flags and gestures, which can have a meaning that you do not intend: look at the
  samples before you publish them."""


@dataclass(frozen=True)
class PoolFacts:
    """What ATTRIBUTION.md says about the training pictures."""

    pictures: int
    sets: int
    licenses: Mapping[str, int]  # pictures by license, most first

    @classmethod
    def read(cls, path: Path) -> "PoolFacts":
        """From the table of sets; raises InputError if there is none."""
        cells = [[c.strip() for c in line.split("|")[1:-1]] for line in path.read_text("utf8").splitlines()]
        rows = [row for row in cells if len(row) == 4 and row[1].isdecimal()]
        if not rows:
            raise InputError(f"{path} has no table of sets, pictures, authors and licenses: give that of tools/pool")
        counts: Counter[str] = Counter()
        for row in rows:
            counts[row[3]] += int(row[1])
        return cls(counts.total(), len({row[0] for row in rows}), dict(counts.most_common()))

    def describe(self) -> str:
        """In two sentences."""
        terms = ", ".join(f"{name} {number:,}" for name, number in self.licenses.items())
        return (
            f"The pool of `tools/pool`: {self.pictures:,} pictures of {self.sets} sets; those that the run held out "
            f"are among them. Licenses: {terms}. [ATTRIBUTION.md](ATTRIBUTION.md) names each set with its authors."
        )


AUTOENCODER_CARD = """\
---
library_name: noisette
tags: [noisette, autoencoder, latent-diffusion]
license: apache-2.0
---

# {name}

![pictures, and below each row what is encoded and decoded again](samples.png)

An autoencoder for small pictures, trained with Noisette: {mode} pictures of any size to latents with {channels}
channels and {factor} times fewer pixels a side, and back. Above: held-out pictures, and below each row what is
decoded again.

## Use

    noisette train SOURCE --autoencoder {name} --size 64 --out RUN

trains a model on its latents; in Python `noisette.PictureAutoencoder.from_pretrained("{name}")`. Pictures without alpha
and gray pictures are encoded as opaque ones.

## Recipe

| | |
|---|---|
| network | {parameters:,} weights; channels {widths}, {blocks} residual blocks a level in the decoder |
| pictures | {train:,} for training, {held_out:,} held out, {width}×{height} |
| images | {images:,} random squares of {crop} pixels, {batch} a step |
| loss | {loss} |
| optimizer | Muon, highest learning rate {lr:g} |
| start | {start} |
| PSNR of held-out pictures | {psnr:.1f} dB |

## What it must not be used for

Not for photographs, faces of people, text or medical pictures: it has seen icons, emoji and clip art alone, and what it
has not seen it changes.

## Training pictures

{facts}
"""


def ship_autoencoder(run: Path, name: str, attribution: Path, figures: str = "") -> tuple[Path, str]:
    """Write the folder of a shipped autoencoder. Returns it, and a sentence on what half precision changes."""
    check_name(name)
    facts, whole, data = PoolFacts.read(attribution), PictureAutoencoder.from_pretrained(run), Dataset.open(run)
    pixels = data.held_out.pixels(torch.arange(min(NUM_SAMPLES, len(data.held_out))))
    folder = shipped.ROOT / name
    with atomic_folder(folder, replace=True) as part:
        tensors = {key: halved(tensor) for key, tensor in whole.net.state_dict().items()}
        checkpoint.save_model(part / "weights", {CONFIG_KEY: to_json(whole.config)}, tensors)
        half = PictureAutoencoder.from_pretrained(part / "weights")
        full_pixels, restored = (reconstruct_all(one, data.pictures, pixels) for one in (whole, half))
        size = (part / "weights" / "model.safetensors").stat().st_size
        report = f"{size / 1e6:.2f} MB; {compare_drawn(full_pixels, restored)}"
        for file in (part / "weights").iterdir():
            file.rename(part / file.name)
        (part / "weights").rmdir()
        shown = torch.cat([torch.cat(pair) for pair in zip(pixels.split(8), restored.split(8), strict=True)])
        write_png(part / SAMPLES_FILE, contact_sheet(shown, columns=8), origin="edited")
        shutil.copyfile(attribution, part / "ATTRIBUTION.md")
        atomic_write(part / "README.md", autoencoder_card(run, name, whole, data, facts, figures).encode())
    return folder, report


def autoencoder_card(
    run: Path, name: str, autoencoder: PictureAutoencoder, data: Dataset, facts: PoolFacts, figures: str
) -> str:
    """The card of an autoencoder."""
    net, options = autoencoder.config.net, read_options(run)
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    card = AUTOENCODER_CARD.format(
        name=name, mode=autoencoder.config.mode, channels=net.latent_channels, factor=net.factor,
        parameters=sum(p.numel() for p in autoencoder.parameters()), widths=", ".join(map(str, net.widths)),
        blocks=net.blocks, train=len(data.train), held_out=len(data.held_out), width=data.pictures.width,
        height=data.pictures.height, images=last["images"], crop=options.crop, batch=options.batch,
        loss=describe_loss(options), lr=options.lr, start=describe_start(options), psnr=last["psnr"],
        facts=facts.describe(),
    )  # fmt: skip
    return card + (f"\n## Figures\n\n{figures.strip()}\n" if figures else "")


def describe_loss(options: AutoencoderOptions) -> str:
    """The terms of an autoencoder's loss."""
    terms = f"L1 + {options.gradient_weight:g} × differences of neighboring pixels at 3 scales"
    terms += f" + {options.kl_weight:g} × KL" if options.variational else ""
    return terms + (f" + {options.perceptual_weight:g} × feature maps" if options.perceptual_weight else "")


def describe_start(options: AutoencoderOptions) -> str:
    """What an autoencoder's training started from."""
    if options.start_from is None or not is_autoencoder_run(run := Path(options.start_from)):
        return "random weights" if options.start_from is None else Path(options.start_from).name
    before = read_options(run)
    seen = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["images"]
    return f"{seen:,} images on the same pictures, learning rate {before.lr:g}, loss {describe_loss(before)}"


def check_name(name: str) -> None:
    """Raise InputError for what can be no name of a shipped model."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise InputError(f"a model's name is lower-case letters, digits and hyphens, got {name!r}")


def ship(
    run: Path, name: str, attribution: Path, figures: str = "", without_captions: bool = False
) -> tuple[Path, str]:
    """Write the folder of a shipped model. Returns it, and a sentence on what half precision changes."""
    check_name(name)
    facts, model = PoolFacts.read(attribution), load(run)
    if without_captions:
        model = drop_captions(model)
    folder = shipped.ROOT / name
    with atomic_folder(folder, replace=True) as part:
        size = save_half(model, part / "weights")
        half = load(part / "weights")
        full_pixels, pixels = (draw(one, NUM_SAMPLES, batch=NUM_SAMPLES).pixels for one in (model, half))
        report = f"{size / 1e6:.2f} MB; {compare_drawn(full_pixels, pixels)}"
        for file in (part / "weights").iterdir():
            file.rename(part / file.name)
        (part / "weights").rmdir()
        write_png(part / SAMPLES_FILE, contact_sheet(pixels))
        shutil.copyfile(attribution, part / "ATTRIBUTION.md")
        text = write_text(model, find_run(run), name, facts, figures)
        atomic_write(part / "README.md", text.encode())
    return folder, report


def drop_captions(model: PictureModel) -> PictureModel:
    """A model without captions that computes what `model` computes without one."""
    config = model.config
    pictures, net = replace(config.pictures, text_encoder=None), replace(config.net, tokens=0)
    other = PictureModel(replace(config, pictures=pictures, net=net), model.prior).eval().requires_grad_(False)
    weights = initialize(model.net.state_dict(), config, other.net.state_dict(), other.config)
    other.net.load_state_dict(weights.state)
    return other


def save_half(model: PictureModel, folder: Path) -> int:
    """Write the model with weights of 16 bits, which loading turns into 32. Returns the bytes of the weights file."""
    tensors = {key: halved(tensor) for key, tensor in model.tensors().items()}
    checkpoint.save_model(folder, model.config_json(), tensors)
    if (size := (folder / "model.safetensors").stat().st_size) > MAX_BYTES:
        raise InputError(f"weights that come with the package take {MAX_BYTES:,} bytes at most, these {size:,}")
    return size


def halved(tensor: Tensor) -> Tensor:
    """fp16 has three bits more than bf16, and weights do not need its range."""
    return tensor.half() if tensor.is_floating_point() else tensor


def compare_drawn(full: UInt8Images, half: UInt8Images) -> str:
    """A sentence on the difference of the same samples; raises InputError if it is more than rounding."""
    difference = (full.float() - half.float()).abs()
    mean, moved = difference.mean().item(), (difference > 8).float().mean().item()
    if mean > MAX_DIFFERENCE:
        raise InputError(f"half precision changes the samples by {mean:.1f} levels of 255 in the mean: not written")
    return f"half precision changes pixels by {mean:.3f} levels of 255 in the mean, {100 * moved:.2g} % by more than 8"


def write_text(model: PictureModel, run: Path | None, name: str, facts: PoolFacts, figures: str) -> str:
    """The model card."""
    licenses = Licenses(LICENSE, ", ".join(facts.licenses))
    parameters = sum(p.numel() for p in model.parameters())
    shown = model.pictures
    sections = [section.replace("FOLDER", name) for section in card_sections(model.config, parameters, run, licenses)]
    own = {
        "Intended use": INTENDED_USE.format(name=name, size=max(shown.height, shown.width)),
        "What it must not be used for": MISUSE,
        "Training pictures": facts.describe(),
        "Figures": figures.strip(),
    }
    added = [f"## {head}\n\n{text}" for head, text in own.items() if text]
    return "\n\n".join([front_matter(licenses), f"# {name}", *sections[:-1], *added, sections[-1]]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run folder")
    parser.add_argument("name", help="of the model in the package: base-16")
    parser.add_argument("--attribution", type=Path, required=True, help="the file that tools/pool/build.py writes")
    parser.add_argument("--without-captions", action="store_true", help="leave out what reads captions")
    parser.add_argument("--figures", type=Path, help="Markdown for the card's section Figures")
    args = parser.parse_args(arguments)
    try:
        figures = args.figures.read_text("utf8") if args.figures else ""
        if is_autoencoder_run(args.run):
            folder, report = ship_autoencoder(args.run, args.name, args.attribution, figures)
        else:
            folder, report = ship(args.run, args.name, args.attribution, figures, args.without_captions)
    except (InputError, OSError) as error:
        print(f"ship: {error}", file=sys.stderr)
        return 2
    print(folder)
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
