"""A page for every command in docs/reference/commands, from the program itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from sphinx.application import Sphinx

from generated_pages import write_pages
from noisette.cli import app as program

VALUES = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}
VALUES |= {list[value]: word for value, word in VALUES.items()}  # type: ignore[valid-type]
INDEX = """# Commands

Every command with its options, as `noisette COMMAND --help` prints them. All commands end with exit code 0 when the
work is done, 2 for unusable input (one sentence on stderr says why), 130 when stopped by Ctrl-C, 1 for a defect.

These options are allowed in any position of any command:

{options}
"""


def command_tree(command: Any, name: str = "noisette") -> Iterator[tuple[str, Any]]:
    """(full name, command) of every command that does work, in the order of the help; groups are left out."""
    for word, child in command.commands.items():
        full = f"{name} {word}"
        if hasattr(child, "commands"):
            yield from command_tree(child, full)
        else:
            yield full, child


def panels() -> dict[str, list[str]]:
    """The headings of `noisette --help` → the first words of their commands."""
    root, found = typer.main.get_command(program.app), {}
    for word, child in root.commands.items():  # type: ignore[attr-defined]
        found.setdefault(child.rich_help_panel, []).append(word)
    return {panel: found[panel] for panel in program.PANELS}


def escape(text: str) -> str:
    """Help texts are plain: nothing in them is Markdown."""
    for sign in "\\`*_[]<>{}$#":
        text = text.replace(sign, "\\" + sign)
    return text


def describe(parameter: Any) -> str:
    """One argument or option, as a description that links and search can find."""
    value = "" if getattr(parameter, "is_flag", False) else parameter.metavar or VALUES[annotation(parameter)]
    if parameter.opts[0].startswith("-"):
        names = ", ".join(
            f"{name} <{value}>" if value else name for name in [*parameter.opts, *parameter.secondary_opts]
        )
    else:
        names = parameter.opts[0].upper()
    notes = [escape(" ".join((parameter.help or "").split()))]
    default = parameter.default
    if parameter.required:
        notes.append("Required." if names.startswith("-") else "")
    elif parameter.show_default and default not in (None, False, (), []) and not callable(default):
        notes.append(f"Default: `{getattr(default, 'value', default)}`.")
    if parameter.multiple:
        notes.append("" if "epeatable" in notes[0] else "Repeatable.")
    return f"::::{{option}} {names}\n{' '.join(filter(None, notes))}\n::::\n"


def annotation(parameter: Any) -> Any:
    return parameter.type_descriptor.annotation


def page(name: str, command: Any, level: str = "#") -> str:
    """The section of one command."""
    arguments = [p.opts[0].upper() for p in command.params if not p.opts[0].startswith("-")]
    paragraphs = [escape(" ".join(part.split())) for part in (command.help or "").split("\n\n")]
    usage = " ".join([name, *arguments, "[OPTIONS]"])
    parts = [
        f"{level} {name}",
        *paragraphs,
        f"```text\n{usage}\n```",
        f"::::{{program}} {name}\n::::",
        *(describe(p) for p in command.params if not p.hidden),
    ]
    return "\n\n".join(parts) + "\n"


def write_commands(app: Sphinx) -> None:
    """One page for each word after `noisette`; `edit` and `palette` hold their commands as sections."""
    root = typer.main.get_command(program.app)
    everything = list(command_tree(root))
    pages = {}
    for word, child in root.commands.items():  # type: ignore[attr-defined]
        own = [(name, command) for name, command in everything if name.split()[1] == word]
        if hasattr(child, "commands"):
            text = "\n".join(page(name, command, "##") for name, command in own)
            pages[f"{word}.md"] = f"# noisette {word}\n\n{escape(' '.join((child.help or '').split()))}\n\n{text}"
        else:
            pages[f"{word}.md"] = page(*own[0])
    everywhere = "\n".join(describe(p) for p in root.params if not p.hidden)
    trees = [
        f":::{{toctree}}\n:caption: {panel}\n:maxdepth: 2\n\n" + "\n".join(words) + "\n:::\n"
        for panel, words in panels().items()
    ]
    options = f"::::{{program}} noisette\n::::\n\n{everywhere}"
    pages["index.md"] = INDEX.format(options=options) + "\n" + "\n".join(trees)
    write_pages(app, "reference/commands", pages)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
