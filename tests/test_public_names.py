"""The packages under noisette: their public names exist, are documented, and cost nothing until they are used."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import noisette
from commands import ENV

PACKAGES = Path(noisette.__file__).parent
LAZY = ("", "evaluation", "interop", "models", "nn", "report", "sampling", "training")  # "": noisette itself
PUBLIC = (*LAZY[1:], "course", "data", "diffusion", "edit")
VALUES = ("DivergenceFn", "LogProbFn", "Network")  # aliases of types, which cannot have a docstring


def full_name(package: str) -> str:
    return f"noisette.{package}".rstrip(".")


def submodules(package: str) -> set[str]:
    return {path.stem for path in (PACKAGES / package).iterdir() if path.suffix == ".py" or path.is_dir()}


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_is_there_once_and_documented(package: str) -> None:
    module = import_module(full_name(package))
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        text = inspect.getdoc(value) or ""
        assert name in VALUES or (len(text.split()) > 2 and not text.startswith(f"{name}(")), name


def static_imports(package: str) -> Iterator[tuple[str, str]]:
    """(module, name) of the imports that only type checkers see; a module itself is ("", name)."""
    tree = ast.parse((PACKAGES / package / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    for node in block.body:
        assert isinstance(node, ast.ImportFrom) and node.level == 1
        yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("package", LAZY)
def test_names_are_imported_from_where_type_checkers_look(package: str) -> None:
    module = import_module(full_name(package))
    homes = {(home, name) for home, names in module.HOMES.items() for name in names}
    assert {(home if name != home else "", name) for home, name in homes} == set(static_imports(package))
    assert sorted(name for _, name in homes) == sorted(set(module.__all__) - {"__version__"}) == dir(module)


@pytest.mark.parametrize("package", LAZY)
def test_a_name_does_not_depend_on_what_was_imported_before(package: str) -> None:
    """Python sets a submodule as an attribute of its package: a function of that name would come and go."""
    module = import_module(full_name(package))
    shared = set(module.__all__) & submodules(package)
    assert all(inspect.ismodule(getattr(module, name)) for name in shared)


def test_packages_are_imported_without_torch() -> None:
    imports = "; ".join(f"import {full_name(package)}" for package in LAZY)
    code = f"import sys; {imports}; assert not {{'torch', 'numpy', 'PIL'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=ENV)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'noisette\.models' has no attribute 'Nothing'"):
        import_module("noisette.models").Nothing  # noqa: B018
    with pytest.raises(ImportError):
        exec("from noisette.models import Nothing")
