"""docs/python.md lists every public name, and every public name has a docstring."""

import inspect
from pathlib import Path

import pytest

import noisette
import noisette.diffusion

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
TYPES = ("DivergenceFn", "LogProbFn", "Network")  # aliases of types, which cannot have a docstring
TOP = [name for name in noisette.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", TOP)
def test_the_top_level_is_listed_and_documented(name: str) -> None:
    assert f"| `noisette.{name}` |" in PAGE
    assert len((inspect.getdoc(getattr(noisette, name)) or "").split()) > 3


@pytest.mark.parametrize("name", noisette.diffusion.__all__)
def test_the_theory_is_listed_and_documented(name: str) -> None:
    assert f"| `{name}` |" in PAGE
    if name not in TYPES:
        assert len((inspect.getdoc(getattr(noisette.diffusion, name)) or "").split()) > 2
