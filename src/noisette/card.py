"""A model card: README.md and samples.png beside a model, for people who meet it without its makers.

It says what is known and no more: what a run folder holds (data, recipe, held-out loss), and of licences what the
person said, or "not stated". No path of the machine goes into it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import snapshots
from .config import ModelConfig, to_json
from .data.manifest import Manifest
from .files import atomic_write, read_json
from .shapes import Bytes
from .viz.grid import sheet
from .viz.png import write_png

UNSTATED = "not stated"
SHEET = "samples.png"


@dataclass(frozen=True)
class Licences:
    """As the person says; nothing is guessed."""

    model: str | None = None
    data: str | None = None


def write(
    folder: Path, config: ModelConfig, parameters: int, drawn: Bytes | None, run: Path | None, said: Licences
) -> None:
    """README.md and samples.png, into a model folder. `run` is the run folder that the model is of, where there is one.

    `drawn` are pictures of its own, where it makes them out of noise.
    """
    if drawn is not None:
        write_png(folder / SHEET, sheet(drawn))
    name = run.resolve().name if run is not None else folder.resolve().name
    text = "\n\n".join([front(said), f"# {name}", *sections(config, parameters, run, said)])
    atomic_write(folder / "README.md", f"{text}\n".encode())


def run_of(folder: Path | None) -> Path | None:
    """The run folder that a model was opened from, by itself or by its `model`."""
    near = [] if folder is None else [folder, folder.resolve().parent]
    return next((p for p in near if (p / "data.json").is_file() and (p / "config.json").is_file()), None)


def front(said: Licences) -> str:
    """What the hub reads: it knows licences by their short names."""
    lines = ["library_name: noisette", "pipeline_tag: unconditional-image-generation", "tags: [noisette, diffusion]"]
    if said.model is not None:
        short = said.model.lower()
        known = re.fullmatch(r"[a-z0-9.-]+", short)
        lines += [f"license: {short}"] if known else ["license: other", f"license_name: {json.dumps(said.model)}"]
    return "\n".join(["---", *lines, "---"])


def sections(config: ModelConfig, parameters: int, run: Path | None, said: Licences) -> Iterator[str]:
    """The card, a section at a time."""
    if config.task.wanted(config.pictures) is None:
        yield f"![drawn by this model]({SHEET})"
    yield "A denoising diffusion model of small pictures, grown by [Noisette](https://github.com/noisette/noisette)."
    yield f"## Use\n\n    {config.task.use.replace('MODEL', 'FOLDER')}"
    pictures = config.pictures
    facts = {
        "pictures": f"{pictures.width}×{pictures.height}, {pictures.mode}",
        "labels": ", ".join(pictures.labels) or "none",
        "attributes": ", ".join(pictures.attributes) or "none",
        "text": f"read by {pictures.wording.encoder}" if pictures.wording is not None else "none",
        "parameters": f"{parameters:,}",
        "drawn by": f"{config.sampling.sampler}, {config.sampling.steps} steps",
    }
    yield "## What it draws\n\n" + table(facts)
    yield "## Data\n\n" + table(data(run) | {"licence of the data": said.data or UNSTATED})
    yield "## Recipe\n\n" + table(recipe(config, run))
    if figures := held_out(run):
        yield "## Figures\n\n" + table(figures)
    yield f"## Licence\n\nOf this model: {said.model or UNSTATED}. Of the pictures that it learned from: see above."


def table(rows: dict[str, Any]) -> str:
    """Two columns; a bar in a name would end its cell."""
    lines = [f"| {k} | {str(v).replace('|', '/')} |" for k, v in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def data(run: Path | None) -> dict[str, Any]:
    """What it was trained on, from data.json: how many, of what kind. No path."""
    if run is None:
        return {"pictures": UNSTATED}
    told = Manifest.read(run / "data.json")
    train = len({f.row for f in told.files if f.split == "train"})
    return {
        "pictures": f"{train:,} to learn from, {told.rows - train:,} held out",
        "source": f"{Path(told.source).name}, {told.kind}",
        "standard deviation": f"{told.sigma_data:.3f}",
        "notes": "; ".join(told.notes) or "none",
    }


def recipe(config: ModelConfig, run: Path | None) -> dict[str, Any]:
    """The process, and how it was trained where a run tells."""
    rows = {"schedule": named(to_json(config.schedule)), "parametrization": named(to_json(config.parametrization))}
    rows["network"] = type(config.net).__name__.removesuffix("Config")
    plan = read_json(run / "config.json").get("plan", {}) if run is not None else {}
    rows |= {name: plan[name] for name in ("preset", "precision", "seed") if name in plan}
    if told := journal(run):
        rows["images"] = told[-1]["images"]
    training = plan.get("recipe", {}).get("training", {})
    return rows | {k: named(v) for k, v in training.items()}


def named(value: Any) -> str:
    """A value of a config in a line: Class(field=value)."""
    if not isinstance(value, dict):
        return str(value)
    inside = ", ".join(f"{k}={v}" for k, v in value.items() if k != "is" and v is not None)
    return f"{value.get('is', '')}({inside})"


def held_out(run: Path | None) -> dict[str, str]:
    """The held-out loss that the run wrote down last, of the weights that are its model."""
    rows = [row for row in journal(run) if "held_out" in row]
    if not rows:
        return {}
    last = rows[-1]
    return {f"held-out loss after {last['images']:,} images": f"{last['held_out']['all']:.4f}"}


def journal(run: Path | None) -> list[dict[str, Any]]:
    """What the run wrote down until its model was what it is; [] where there is no run."""
    path = run / "metrics.jsonl" if run is not None else None
    if run is None or path is None or not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.endswith("}")]
    pick = snapshots.chosen(run)
    return [row for row in rows if pick is None or row["images"] <= pick.images]
