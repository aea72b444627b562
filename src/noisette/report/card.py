"""A model card: README.md and samples.png beside a model, for users of the model.

The card contains what the run folder records (data, recipe, held-out loss) and the licenses that the user states, or
"not stated". No path of the machine is written.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.contact_sheet import contact_sheet
from ..data.manifest import Manifest
from ..data.png import write_png
from ..io import hub
from ..io.files import atomic_folder, atomic_write
from ..io.metrics_log import read_metrics
from ..io.run_config import read_run_config
from ..models.config import ModelConfig, SamplingDefaults, to_json
from ..models.picture_model import PictureModel
from ..sampling.draw import draw
from ..shapes import UInt8Images
from ..training import snapshots

NOT_STATED = "not stated"
SAMPLES_FILE = "samples.png"
NUM_SAMPLES = 16  # pictures in samples.png


@dataclass(frozen=True)
class Licenses:
    """Licenses as stated by the user, preferably SPDX names such as "mit"; None: not stated."""

    model: str | None = None
    data: str | None = None


def save_with_card(model: PictureModel, folder: str | Path, licenses: Licenses | None = None) -> None:
    """`model.save_pretrained(folder)`, and a model card beside it: README.md and samples.png.

    A model that needs an input picture (an upscaler, a segmentation model) gets no samples.png. A folder that is new or
    empty gets all files at once, or none if the call is interrupted.
    """
    folder = Path(folder)
    is_new = not folder.is_dir() or not any(folder.iterdir())
    run = find_run(model.folder)
    name = (run or folder).resolve().name
    num_parameters = sum(p.numel() for p in model.parameters())
    samples = None if model.config.task.input_spec(model.pictures) else draw(model, NUM_SAMPLES).pixels
    with atomic_folder(folder) if is_new else nullcontext(folder) as place:
        model.save_pretrained(place)
        write_card(place, model.config, num_parameters, samples, run, licenses or Licenses(), name)


def push_to_hub(model: PictureModel, name: str, licenses: Licenses | None = None, *, private: bool = True) -> str:
    """Upload a model with its card to the Hugging Face repository `name` (OWNER/NAME); return its address.

    The repository is created if needed, private by default. Raises InputError if the hub refuses or is not reached.
    """
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / name.rpartition("/")[2]
        save_with_card(model, folder, licenses)
        return hub.upload(folder, name, private)


def write_card(
    folder: Path,
    config: ModelConfig,
    num_parameters: int,
    samples: UInt8Images | None,
    run: Path | None,
    licenses: Licenses,
    name: str,
) -> None:
    """Write README.md, and samples.png if there are `samples` (N, C, H, W), into a model folder.

    `run` is the run folder of the model; None: the card has no training data and no recipe. `name` is its title.
    """
    if samples is not None:
        write_png(folder / SAMPLES_FILE, contact_sheet(samples))
    text = "\n\n".join([front_matter(licenses), f"# {name}", *card_sections(config, num_parameters, run, licenses)])
    atomic_write(folder / "README.md", f"{text}\n".encode())


def find_run(folder: Path | None) -> Path | None:
    """The run folder that contains a model folder: the folder itself or its parent; None if neither is one."""
    candidates = [] if folder is None else [folder, folder.resolve().parent]
    return next((p for p in candidates if (p / "data.json").is_file() and (p / "config.json").is_file()), None)


def front_matter(licenses: Licenses) -> str:
    """The YAML block at the top, which the Hugging Face Hub reads. Licenses that are not SPDX names become "other"."""
    lines = ["library_name: noisette", "pipeline_tag: unconditional-image-generation", "tags: [noisette, diffusion]"]
    if licenses.model is not None:
        short = licenses.model.lower()
        known = re.fullmatch(r"[a-z0-9.-]+", short)
        lines += [f"license: {short}"] if known else ["license: other", f"license_name: {json.dumps(licenses.model)}"]
    return "\n".join(["---", *lines, "---"])


def card_sections(config: ModelConfig, num_parameters: int, run: Path | None, licenses: Licenses) -> Iterator[str]:
    """The sections of the card in Markdown."""
    if config.task.input_spec(config.pictures) is None:
        yield f"![samples of this model]({SAMPLES_FILE})"
    yield "A denoising diffusion model for small pictures, trained with [Noisette](https://github.com/noisette/noisette)."
    yield f"## Use\n\n    {config.task.usage.replace('MODEL', 'FOLDER')}"
    pictures = config.pictures
    facts = {
        "pictures": f"{pictures.width}×{pictures.height}, {pictures.mode}",
        "labels": ", ".join(pictures.labels) or "none",
        "attributes": ", ".join(pictures.attributes) or "none",
        "text encoder": pictures.text_encoder.name if pictures.text_encoder is not None else "none",
        "parameters": f"{num_parameters:,}",
        "sampler": describe_sampling(config.sampling),
    }
    yield "## Samples\n\n" + markdown_table(facts)
    yield "## Training data\n\n" + markdown_table(
        data_facts(run) | {"license of the data": licenses.data or NOT_STATED}
    )
    yield "## Recipe\n\n" + markdown_table(recipe_facts(config, run))
    if loss := held_out_loss(run):
        yield "## Held-out loss\n\n" + markdown_table(loss)
    yield f"## License\n\nModel: {licenses.model or NOT_STATED}. Training data: {licenses.data or NOT_STATED}."


def describe_sampling(sampling: SamplingDefaults) -> str:
    """Sampler, steps and temperature."""
    return f"{sampling.sampler}, {sampling.steps} steps, temperature {sampling.temperature:g}"


def markdown_table(rows: dict[str, Any]) -> str:
    """A Markdown table of two columns; "|" in a value is replaced by "/"."""
    lines = [f"| {k} | {str(v).replace('|', '/')} |" for k, v in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def data_facts(run: Path | None) -> dict[str, Any]:
    """Number and kind of the training pictures, from data.json; only the last part of the source's path."""
    if run is None:
        return {"pictures": NOT_STATED}
    manifest = Manifest.read(run / "data.json")
    train = len({f.row for f in manifest.files if f.split == "train"})
    return {
        "pictures": f"{train:,} for training, {manifest.rows - train:,} held out",
        "source": f"{Path(manifest.source).name}, {manifest.kind}",
        "standard deviation": f"{manifest.sigma_data:.3f}",
        "notes": "; ".join(manifest.notes) or "none",
    }


def recipe_facts(config: ModelConfig, run: Path | None) -> dict[str, Any]:
    """Schedule, parametrization and network; with a run folder, also the training recipe."""
    rows = {
        "schedule": format_value(to_json(config.schedule)),
        "parametrization": format_value(to_json(config.parametrization)),
    }
    rows["network"] = type(config.net).__name__.removesuffix("Config")
    if (latent := config.pictures.latent) is not None:
        rows["works on"] = f"latents of factor {latent.factor} with {latent.channels} channels"
    plan = read_run_config(run / "config.json").plan if run is not None else {}
    training = plan.get("recipe", {}).get("training", {})
    if config.origins:
        key = "student of" if training.get("distillation") else "started from"
        rows[key] = ", which started from ".join(f"{o.name} ({o.pictures})" for o in config.origins)
    rows |= {name: plan[name] for name in ("preset", "precision", "seed") if name in plan}
    if metrics := model_metrics(run):
        rows["images"] = metrics[-1]["images"]
    if duration := next((row["seconds"] for row in reversed(metrics) if "seconds" in row), None):
        rows["training time"] = f"{duration:.0f} s"
    if comparison := next((row["comparison"] for row in reversed(metrics) if "comparison" in row), None):
        rows["compared with its teacher"] = comparison
    return rows | {k: format_value(v) for k, v in training.items()}


def format_value(value: Any) -> str:
    """A config value as text: Class(field=value, …)."""
    if not isinstance(value, dict):
        return str(value)
    fields = ", ".join(f"{k}={v}" for k, v in value.items() if k != "is" and v is not None)
    return f"{value.get('is', '')}({fields})"


def held_out_loss(run: Path | None) -> dict[str, str]:
    """The last held-out loss of the run up to the weights of its model; {} if there is none."""
    rows = [row for row in model_metrics(run) if "held_out" in row]
    if not rows:
        return {}
    last = rows[-1]
    return {f"held-out loss after {last['images']:,} images": f"{last['held_out']['all']:.4f}"}


def model_metrics(run: Path | None) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl up to the snapshot that is the run's model; [] without a run."""
    if run is None:
        return []
    pick = snapshots.select_snapshot(run)
    return [row for row in read_metrics(run / "metrics.jsonl") if pick is None or row["images"] <= pick.images]
