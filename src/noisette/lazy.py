"""Public names of a package that are imported from their modules on first use (PEP 562)."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package whose own import is to stay cheap.

    homes: the public names by the module that defines them, relative to the package. A name that is also the name of
    its module stands for the module: which of the two an import finds must not depend on earlier imports.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def get_name(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{home[name]}")
        return module if name == home[name] else getattr(module, name)

    return get_name, lambda: sorted(home)
