"""RUN/config.json: the options that a run was started with, and the plan made of them.

Whoever reads it builds its own types from `options` and `plan` (`models.config.from_json`); here it is certain that
both are objects, that nothing is damaged, and that this version knows the format.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .checkpoint import FORMAT_VERSION
from .json_files import read_json, write_json
from .json_types import get_field, parse_object

PLAN_FIELDS = {"preset": str, "images": int, "precision": str, "seed": int, "recipe": dict}  # every plan has these


@dataclass(frozen=True)
class RunConfig:
    """The content of a run's config.json."""

    format: int
    options: Mapping[str, Any]
    plan: dict[str, Any]  # its fields have the types of PLAN_FIELDS, and its recipe has the objects model and training

    @property
    def uses_flips(self) -> bool:
        """Whether training pictures were mirrored (--flip): then a mirrored copy counts as a copy."""
        return self.plan["recipe"]["training"].get("flip") is True

    @property
    def command(self) -> str:
        """The command that made the run, and that continues it."""
        return "noisette distill" if self.plan["recipe"]["training"].get("distillation") else "noisette train"


def is_run_config(path: str | Path) -> bool:
    """Whether the file is the config of a run, and not that of a model folder or no config at all."""
    value = read_json(path) if Path(path).is_file() else None
    return isinstance(value, dict) and "plan" in value


def read_run_config(path: str | Path) -> RunConfig:
    """Read it; `InputError` if it is missing, damaged, of a newer version or not the config of a run."""
    value = read_json(path)
    if not isinstance(value, dict) or not {"format", "options", "plan"} <= value.keys():
        raise InputError(f"{path} is not the config of a run: give the folder that noisette train --out was given")
    config = parse_object(RunConfig, value, str(path))
    if not 1 <= config.format <= FORMAT_VERSION:
        raise InputError(f"{path} was made by a newer Noisette (format {config.format}): upgrade Noisette")
    for name, kind in PLAN_FIELDS.items():
        get_field(config.plan, name, kind, f"{path}: plan")
    for name in ("model", "training"):
        get_field(config.plan["recipe"], name, dict, f"{path}: plan.recipe")
    if config.plan.get("seconds") is not None:
        get_field(config.plan, "seconds", float, f"{path}: plan")
    return config


def write_run_config(path: str | Path, options: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    """Write it atomically."""
    write_json(path, {"format": FORMAT_VERSION, "options": options, "plan": plan})
