"""The pages about the process name what is there."""

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def found(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something in one (a field of a dataclass counts)."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if part in getattr(thing, "__dataclass_fields__", {}):
                return True
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


@pytest.mark.parametrize("page", ["notation.md", "process.md"])
def test_every_name_on_the_page_exists(page):
    names = set(re.findall(r"`(noisette(?:\.\w+)+)`", (DOCS / page).read_text("utf8")))
    assert len(names) > 15
    assert [name for name in sorted(names) if not found(name)] == []


@pytest.mark.parametrize(
    "module", ["schedule", "parametrization", "loss", "sampler", "posterior", "oracle", "operator", "guidance"]
)
def test_every_public_thing_is_on_the_page(module):
    """All that a user would choose between."""
    text = (DOCS / "process.md").read_text("utf8") + (DOCS / "notation.md").read_text("utf8")
    thing = importlib.import_module(f"noisette.diffusion.{module}")
    chosen = [
        name
        for name, value in vars(thing).items()
        if not name.startswith("_")
        and hasattr(value, "__dataclass_fields__")
        and value.__module__.startswith(f"noisette.diffusion.{module}")
    ]
    hidden = {"VariancePreserving", "State", "LossHistory", "LossProportionalSteps", "DenoiserWrapper", "LossWrapper"}
    assert chosen
    assert [name for name in chosen if name not in text and name not in hidden] == []
