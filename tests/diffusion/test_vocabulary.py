"""`noisette.diffusion` has every public name of the theory."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import noisette.diffusion as vocabulary
from commands import ENV

MODULES = [
    m.name for m in pkgutil.walk_packages(vocabulary.__path__, "noisette.diffusion.") if m.name != "noisette.diffusion"
]
INTERNAL = {  # helpers of one file, reached through it
    "corrector_weights", "x0_increment", "extrapolate_linear", "extrapolate_quadratic", "multistep_step",
    "split_output", "vlb_term", "kl", "cdf", "discretized_log_prob",
}  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_every_public_class_and_function_is_exported(module: str) -> None:
    found = importlib.import_module(module)
    if inspect.isfunction(found):  # a function that has the name of its module
        return
    defined = {n for n, v in vars(found).items() if getattr(v, "__module__", None) == module and not n.startswith("_")}
    defined = {n for n in defined if inspect.isclass(vars(found)[n]) or inspect.isfunction(vars(found)[n])}
    assert defined - INTERNAL <= set(vocabulary.__all__)


def test_all_names_exist_and_have_a_docstring() -> None:
    assert len(set(vocabulary.__all__)) == len(vocabulary.__all__)
    for name in vocabulary.__all__:
        value = getattr(vocabulary, name)
        if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
            assert (value.__doc__ or "").strip() and not (value.__doc__ or "").startswith(f"{name}("), name


def test_it_imports_nothing_else_of_ours_and_the_package_does_not_import_it() -> None:
    code = (
        "import sys, noisette; assert 'torch' not in sys.modules and 'noisette.diffusion' not in sys.modules\n"
        "import noisette.cli; assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=ENV)
    code = (
        "import sys, noisette\n"
        "before = set(sys.modules)\n"
        "import noisette.diffusion\n"
        "ours = {m.split('.')[1] for m in set(sys.modules) - before if m.startswith('noisette.')}\n"
        "assert ours <= {'diffusion', 'errors', 'shapes', 'display'}, ours\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=ENV)
