"""Autoencoders and latent models, measured.

    python benchmarks/latent.py autoencoder AUTOENCODER SOURCE [--size 64] [--n 500]
        PSNR of encoding and decoding the held-out pictures, and KID of the decoded pictures against the pictures
        themselves (rKID), beside that of two halves of the pictures
    python benchmarks/latent.py speed AUTOENCODER [--size 64]
        side by side: training images/s on latents and on pixels; a decoded picture and a network call of the latent
        model; one picture from noise to pixels; peak memory of training
    python benchmarks/latent.py routes SOURCE OUT --for 20m [--autoencoder art-f4] [--size 64] [--seed 0] [--n 1000]
        equal minutes each: pixels, latents of AUTOENCODER, pixels at half the size enlarged bicubically; KID against
        the held-out pictures at SIZE, recall, copies; a sheet of each route beside real pictures in OUT/routes.png

Run it on a quiet machine. KID × 10³ by EfficientNet features (the extra `metrics`).
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

import noisette
from noisette.data import Dataset, prepare
from noisette.data.contact_sheet import LabeledRow, labeled_sheet
from noisette.data.pictures import LatentSpace, Pictures
from noisette.data.png import from_image, to_image
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.distribution import compute_prdc
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.evaluation.metrics.kid import kid
from noisette.evaluation.metrics.memorization import measure_memorization
from noisette.models.picture_autoencoder import PictureAutoencoder
from noisette.models.picture_model import PictureModel
from noisette.sampling.generate import sample_images
from noisette.shapes import UInt8Images
from noisette.training.autoencoder import measure_psnr, reconstruct_all
from noisette.training.recipes.presets import PRESETS
from noisette.training.trial_step import TrialStep

BATCH, ROUNDS = 32, 7
SHEET = 8  # pictures of a row


def measure_autoencoder(name: str, source: str, size: int, number: int) -> None:
    """PSNR and rKID on pictures that were prepared from a source."""
    autoencoder, extract = PictureAutoencoder.from_pretrained(name), EfficientNetExtractor()
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(source, folder, size=size, mode=autoencoder.config.mode)
        pixels = torch.cat([all_pixels(data.held_out), all_pixels(data.train)])[:number]
    restored = reconstruct_all(autoencoder, data.pictures, pixels)
    psnr = measure_psnr(data.pictures, restored, pixels)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    first, second = (pixels[half] for half in order.chunk(2))
    print(f"{source} at {size} px, {len(pixels)} pictures: PSNR {psnr.mean():.2f} dB (lowest {psnr.min():.1f})")
    print(f"rKID × 10³ {1000 * kid(extract(restored), extract(pixels)):.2f}; two halves of the pictures "
          f"{1000 * kid(extract(first), extract(second)):.2f}")  # fmt: skip


def median_seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@torch.no_grad()
def measure_speed(name: str, size: int) -> None:
    """Training and drawing on latents and on pixels, with the preset tiny."""
    autoencoder = PictureAutoencoder.from_pretrained(name)
    config = autoencoder.config
    space = LatentSpace(config.net.latent_channels, config.net.factor)
    kinds = {"pixels": Pictures(config.mode, size, size), "latents": Pictures(config.mode, size, size, latent=space)}
    recipes = {kind: PRESETS["tiny"](pictures, 0.5) for kind, pictures in kinds.items()}
    seconds = {}
    for kind, recipe in recipes.items():
        with torch.enable_grad():
            step = TrialStep(recipe, "fp32", torch.device("cpu"), BATCH)
            seconds[kind] = median_seconds(step)
    for kind, spent in seconds.items():
        print(f"training on {kind} of {size} px: {BATCH / spent:.0f} images/s")
    print(f"ratio {seconds['pixels'] / seconds['latents']:.1f}")
    model = PictureModel(recipes["latents"].model, None, autoencoder).eval().requires_grad_(False)
    x, t = torch.randn(BATCH, *model.codec.shape), torch.full((BATCH,), 0.5, dtype=torch.float64)
    call, decode = median_seconds(lambda: model.predict(x, t)), median_seconds(lambda: model.codec.to_images(x / 9))
    print(f"a network call {1000 * call / BATCH:.2f} ms a picture, decoding {1000 * decode / BATCH:.2f} ms: "
          f"{decode / call:.2f} calls")  # fmt: skip
    print(f"one picture, {model.config.sampling.steps} steps: {median_seconds(lambda: noisette.draw(model, 1)):.2f} s")
    del step
    code = (
        "import re, torch\n"
        "from pathlib import Path\n"
        "from noisette.data.pictures import LatentSpace, Pictures\n"
        "from noisette.training.recipes.presets import PRESETS\n"
        "from noisette.training.trial_step import TrialStep\n"
        f"pictures = Pictures({config.mode!r}, {size}, {size}, latent=LatentSpace({space.channels}, {space.factor}))\n"
        "step = TrialStep(PRESETS['tiny'](pictures, 0.5), 'fp32', torch.device('cpu'), 32)\n"
        "step(); step()\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(f"peak memory of training on latents: {int(done.stdout) / 2**20:.2f} GiB")


def enlarge(pixels: UInt8Images, size: int) -> UInt8Images:
    """Bicubically, with premultiplied alpha."""
    images = [to_image(one[None]) for one in pixels]
    large = [
        image.convert("RGBa").resize((size, size), Image.Resampling.BICUBIC).convert("RGBA")
        if image.mode == "RGBA"
        else image.resize((size, size), Image.Resampling.BICUBIC)
        for image in images
    ]
    return torch.cat([from_image(image) for image in large])


def draw_like(model: PictureModel, data: Dataset, number: int, seed: int) -> UInt8Images:
    """Samples of the conditions of random training pictures."""
    rows = torch.randint(len(data.train), (number,), generator=torch.Generator().manual_seed(seed))
    net = model.config.net
    cond = data.train.condition(rows) if net.classes or net.vector or net.tokens else None
    return model.codec.decode_samples(sample_images(model, list(range(number)), cond, batch=BATCH))


def compare_routes(given: argparse.Namespace) -> None:
    """Train by each route for equally long, and measure."""
    routes = {
        f"pixels, {given.size} px": (given.size, {}),
        f"latents of {given.autoencoder}": (given.size, {"autoencoder": given.autoencoder}),
        f"pixels, {given.size // 2} px, enlarged": (given.size // 2, {}),
    }
    extract, rows = EfficientNetExtractor(), []
    print("| route | images seen | KID × 10³ | recall | coverage | copies, % |\n|---|---|---|---|---|---|")
    for number, (name, (size, options)) in enumerate(routes.items()):
        run = noisette.train(
            given.source, given.out / str(number), size=size, seconds=given.time, seed=given.seed, start_from="none",
            **options,
        )  # fmt: skip
        data = Dataset.open(run.folder)
        if number == 0:
            real, train = all_pixels(data.held_out), all_pixels(data.train)
            reference = extract(real)
        samples = draw_like(run.model, data, given.n, given.seed)
        samples = samples if size == given.size else enlarge(samples, given.size)
        features = extract(samples)
        prdc = compute_prdc(reference, features[: len(reference)])
        copies = measure_memorization(samples, train).share.value
        images = run.metrics[-1]["images"]
        print(f"| {name} | {images:,} | {1000 * kid(features, reference):.1f} | {prdc.recall:.2f} | "
              f"{prdc.coverage:.2f} | {100 * copies:.1f} |", flush=True)  # fmt: skip
        rows.append(LabeledRow(name, samples[:SHEET]))
    title = f"{given.time} of training each, {given.size} px"
    labeled_sheet([LabeledRow("held-out pictures", real[:SHEET]), *rows], title).save(given.out / "routes.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one, two, three = (commands.add_parser(name) for name in ("autoencoder", "speed", "routes"))
    one.add_argument("autoencoder")
    one.add_argument("source")
    two.add_argument("autoencoder")
    three.add_argument("source")
    three.add_argument("out", type=Path)
    three.add_argument("--for", dest="time", default="20m")
    three.add_argument("--autoencoder", default="art-f4")
    three.add_argument("--seed", type=int, default=0)
    for part, number in ((one, 500), (two, 0), (three, 1000)):
        part.add_argument("--size", type=int, default=64)
        part.add_argument("--n", type=int, default=number)
    given = parser.parse_args()
    if given.command == "autoencoder":
        measure_autoencoder(given.autoencoder, given.source, given.size, given.n)
    elif given.command == "speed":
        measure_speed(given.autoencoder, given.size)
    else:
        compare_routes(given)


if __name__ == "__main__":
    main()
