"""What a notebook shows of a value. Values know of no pictures: how they are shown is said in edit/notebook.py, which
is looked up when a notebook asks."""

from importlib import import_module


class Displayed:
    """A value that a notebook shows as more than its repr."""

    def _repr_html_(self) -> str:
        return import_module("noisette.edit.notebook").html(self)
