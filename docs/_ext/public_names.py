"""A page for every package with public names (`__all__`) in docs/reference/api, from their docstrings."""

import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

import noisette
from generated_pages import write_pages

FACES = ("cli", "mcp_server", "studio")  # programs, not for import
NAMES = r"\*{0,2}[a-z_]\w*(?:, \*{0,2}[a-z_]\w*)*"
ITEM = re.compile(rf"({NAMES}): (?=\S)")  # an argument in a docstring: "steps, n: what they are"
NEXT_ITEM = re.compile(rf"(?<=[.\])]) (?={NAMES}: \S)")
COLUMN = re.compile(r"\s*(\S(?:\S| (?! ))*)  +(\S.*)")  # "name   what it is", below each other
INDEX = """# Python

Every public name of the package, from its docstring. [The Python API](../../python.md) is the overview with examples.

:::{toctree}
:maxdepth: 1

"""


def public_packages() -> list[ModuleType]:
    """noisette, and its packages that have an `__all__`."""
    names = [info.name for info in pkgutil.iter_modules(noisette.__path__) if info.ispkg and info.name not in FACES]
    modules = [noisette, *(import_module(f"noisette.{name}") for name in names)]
    return [module for module in modules if hasattr(module, "__all__")]


def directive(module: ModuleType, name: str) -> str:
    """The autodoc directive of one public name; one that noisette itself has, too, is described there."""
    value, full = getattr(module, name), f"{module.__name__}.{name}"
    if module is not noisette and name in noisette.__all__ and getattr(noisette, name) is value:
        kind = "class" if inspect.isclass(value) else "function"
        return f".. py:{kind}:: {name}\n\n   The same as :py:obj:`noisette.{name}`.\n"
    if inspect.ismodule(value):
        return f".. automodule:: {full}\n   :members:\n"
    if inspect.isclass(value):
        return f".. autoclass:: {full}\n   :members:\n"
    if inspect.isroutine(value):
        return f".. autofunction:: {full}\n"
    return f".. autodata:: {full}\n   :no-value:\n"


def section_of(module: ModuleType, name: str) -> str:
    """The module within the package that defines a name, as the heading of its section."""
    home = getattr(getattr(module, name), "__module__", None) or ""
    if not home.startswith(module.__name__ + ".") or module is noisette:
        return ""
    return home.removeprefix(module.__name__ + ".").split(".")[0].lstrip("_")


def page(module: ModuleType) -> str:
    """All public names of a package, grouped by the modules that define them."""
    groups: dict[str, list[str]] = {}
    for name in module.__all__:
        groups.setdefault(section_of(module, name), []).append(name)
    summary = (inspect.getdoc(module) or "").split("\n\n")[0]
    parts = [f"# {module.__name__}", summary, "```{eval-rst}\n" + f".. py:module:: {module.__name__}\n```"]
    for group in sorted(groups, key=lambda group: (group == "", group)) if len(groups) > 1 else groups:
        if len(groups) > 1:
            parts.append(f"## {group or 'Other names'}")
        parts += [
            "```{eval-rst}\n" + f".. py:currentmodule:: {module.__name__}\n\n" + directive(module, name) + "```"
            for name in sorted(groups[group], key=str.lower)
        ]
    return "\n\n".join(parts) + "\n"


def write_names(app: Sphinx) -> None:
    modules = public_packages()
    pages = {f"{module.__name__}.md": page(module) for module in modules}
    pages["index.md"] = INDEX + "\n".join(module.__name__ for module in modules) + "\n:::\n"
    write_pages(app, "reference/api", pages)


def inline(text: str) -> str:
    """One piece of prose as reStructuredText: `name` is a link where there is such a name, else code."""
    pieces = re.split(r"`+([^`]+)`+", text)
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            pieces[i] = re.sub(r"([\\*_|`])", r"\\\1", piece)
        elif re.fullmatch(r"[A-Za-z_][\w.]*", piece):
            pieces[i] = rf"\ :py:obj:`{piece}`\ "
        else:
            pieces[i] = rf"\ ``{piece}``\ "
    return "".join(pieces)


def bullets(lines: list[str]) -> Iterator[str]:
    """A paragraph: its lines of prose, and its arguments ("name: what it is") and dashes as bullets."""
    entries: list[tuple[str, str]] = [("", "")]  # (what begins the entry, its text)
    for line in lines:
        text = line.strip()
        if ITEM.match(line):
            entries += [("- ", part) for part in NEXT_ITEM.split(text)]
        elif text.startswith("- "):
            entries.append(("  - " if line != text else "- ", text[2:]))
        elif entries[-1][0] == "- ":  # more items may begin in the middle of a line
            first, *more = NEXT_ITEM.split(f"{entries[-1][1]} {text}")
            entries[-1:] = [("- ", first), *(("- ", part) for part in more)]
        else:
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {text}".strip())
    for mark, text in entries:
        item = ITEM.match(text) if mark == "- " else None
        yield ""
        yield mark + (f"**{inline(item[1])}**: {inline(text[item.end() :])}" if item else inline(text))
    yield ""


def to_rst(lines: list[str]) -> Iterator[str]:
    """A docstring of ours (plain text) as reStructuredText."""
    for block in re.split(r"\n\s*\n", "\n".join(lines).expandtabs().strip("\n")):
        rows = block.splitlines()
        if rows and all(COLUMN.fullmatch(row) or row.startswith("  ") for row in rows) and COLUMN.fullmatch(rows[0]):
            for row in rows:
                found = COLUMN.fullmatch(row)
                yield from (
                    ("", f"- **{inline(found[1])}**: {inline(found[2])}") if found else (f"  {inline(row.strip())}",)
                )
            yield ""
        elif rows and all(row.startswith("  ") for row in rows):
            yield from ("", "::", "", *(f"    {row}" for row in rows), "")
        else:
            yield from bullets(rows)


def rewrite_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if name == "noisette.__version__":
        lines[:] = ["The version of the package."]
    lines[:] = list(to_rst(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_names)
    app.connect("autodoc-process-docstring", rewrite_docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
