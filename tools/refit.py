"""Fit a shipped model anew to its pictures, with the same weights: python tools/refit.py NAME RUN [--pictures 128]

RUN is a run folder with the pictures that the model was trained on (`noisette train SOURCE --images 64 --out RUN`). The
closed form for high noise is fitted to them, and the sampling defaults are tuned as at the end of a run. The folder of
the model gets new weights and config files, samples.png, and the sampler in its README.md.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from noisette.data import Dataset
from noisette.data.contact_sheet import contact_sheet
from noisette.data.png import write_png
from noisette.errors import InputError
from noisette.io import checkpoint
from noisette.io.files import atomic_write
from noisette.models import shipped
from noisette.models.picture_model import PRIOR_PREFIX, load
from noisette.report.card import NUM_SAMPLES, SAMPLES_FILE, describe_sampling
from noisette.sampling.draw import draw
from noisette.training.prior import fit_prior
from noisette.training.recipes.recipe import Recipe, TrainingConfig
from noisette.training.sampling_tuner import SamplingTuner


def refit(name: str, run: Path, pictures: int) -> str:
    """Returns a sentence on what was chosen."""
    folder = shipped.find_folder(name)
    if folder is None:
        raise InputError(f"no model of the package is called {name}")
    model, data = load(folder), Dataset.open(run)
    if model.pictures.shape != data.pictures.shape or model.pictures.labels != data.pictures.labels:
        raise InputError(f"{run} has other pictures than {name} was trained on")
    training = TrainingConfig(grid_fit_share=1.0, gaussian_prior=True)
    model.prior = fit_prior(Recipe(model.config, training), data.train, seed=0)
    choice = SamplingTuner(training.grid_fit_share, seed=0).choose(model, data.train, data.held_out, pictures)
    model = model.with_sampling(choice.sampling)
    tensors = {k: t.half() if k.startswith(PRIOR_PREFIX) else t for k, t in model.tensors().items()}
    checkpoint.save_model(folder, model.config_json(), tensors)
    model = load(folder)
    write_png(folder / SAMPLES_FILE, contact_sheet(draw(model, NUM_SAMPLES, batch=NUM_SAMPLES).pixels))
    card = (folder / "README.md").read_text("utf8")
    row = f"| sampler | {describe_sampling(model.config.sampling)} |"
    atomic_write(folder / "README.md", re.sub(r"^\| sampler \|.*$", row, card, flags=re.MULTILINE).encode())
    return str(choice)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the model in the package: emoji-16")
    parser.add_argument("run", type=Path, help="a run folder with its pictures")
    parser.add_argument("--pictures", type=int, default=128, help="that each setting draws")
    args = parser.parse_args(arguments)
    try:
        print(refit(args.name, args.run, args.pictures))
    except (InputError, OSError) as error:
        print(f"refit: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
