"""The table of commands, and what becomes of an error.

Exit codes: 0 done; 2 unusable input, with one sentence that says why; 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by a
terminal that was closed; 1 a defect of noisette, with a traceback. A stream that is closed or full stops no command;
if what was printed to stdout could not be written, that is said, and the exit code is 2.
"""

import functools
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from ..errors import InputError, explain_out_of_memory
from ..io.version import __version__
from .aliases import AliasedCommand
from .convert import convert
from .course import course
from .demo import demo
from .distill import distill
from .doctor import doctor
from .edit import edit
from .editors import editors
from .evaluate import evaluate
from .explain import explain
from .export import export
from .film import film
from .global_options import split_global_options
from .malloc import tune_malloc
from .mcp import mcp
from .palette import palette
from .plan import plan
from .provenance import provenance
from .sample import sample
from .scan import scan
from .serve import serve
from .sheet import sheet
from .steps import steps
from .streams import protect_streams, stdout_error
from .studio import studio
from .terminal import print_error
from .tileset import tileset
from .train import train
from .train_autoencoder import train_autoencoder
from .train_classifier import train_classifier

app = typer.Typer(
    name="noisette",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
MEMORY_ADVICE = "lower --batch or the number of pictures, or close other programs"
PANELS = {
    "Train": (scan, plan, train, distill, train_autoencoder, train_classifier),
    "Sample and edit": (sample,),
    "Measure and explain": (evaluate, steps, explain, film),
    "Share": (sheet, tileset, convert, export, provenance),
    "Start here": (demo, course, studio, editors, mcp, serve, doctor),
}
for panel, commands in PANELS.items():
    for command in commands:
        app.command(cls=AliasedCommand, rich_help_panel=panel)(command)
    if sample in commands:
        app.add_typer(edit, name="edit", rich_help_panel=panel)
        app.add_typer(palette, name="palette", rich_help_panel=panel)


def _print_version(requested: bool) -> bool:
    if requested:
        typer.echo(f"noisette {__version__}")
        raise typer.Exit
    return requested


@app.callback()
def noisette(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--traceback", help="Print the Python traceback of an error. Allowed in any position.")
    ] = False,
    modules: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="MODULE|FILE.py",
            help="Import this module first: what it passes to noisette.register can be used by name. Repeatable, "
            "allowed in any position.",
        ),
    ] = None,
    encoders: Annotated[
        list[str] | None,
        typer.Option(
            "--trust-encoder",
            metavar="FOLDER|hf://OWNER/NAME",
            help="Open this text encoder for models that were trained with it. The default encoder is opened without "
            "this option. Repeatable, allowed in any position.",
        ),
    ] = None,
) -> None:
    """Train generative models on folders of small pictures, and sample, edit and evaluate them."""


@functools.cache
def get_command(program: typer.Typer) -> Any:
    """The commands of a program, as they are parsed."""
    return typer.main.get_command(program)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line, sys.argv[1:] by default, and exit with its code."""
    protect_streams()
    # GNU OpenMP: a thread that waits is active for some tenths of a millisecond, then sleeps. On an idle machine the
    # next piece of work then starts at once. On a busy one this wastes time: there the number of threads is chosen
    # (training/thread_tuner.py, team.share_cpu). Measured in docs/log.md.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    tune_malloc()
    given = split_global_options(list(sys.argv[1:] if arguments is None else arguments))
    try:
        given.apply()
        with explain_out_of_memory(MEMORY_ADVICE):
            code = get_command(app)(given.rest, prog_name="noisette", standalone_mode=False)
    except Exception as error:
        if given.traceback:
            traceback.print_exc()
        code = _report_error(error)
    except KeyboardInterrupt:
        code = 130
    if code == 130 and not given.traceback:
        print_error("stopped")
    code = code if isinstance(code, int) else 0
    if code == 0 and (cause := stdout_error()):
        print_error(
            f"what was printed could not be written to stdout ({cause}); all else is done: print to another file"
        )
        code = 2
    sys.exit(code)


def _report_error(error: Exception) -> int:
    """Print an error to stderr, and return its exit code."""
    format_message = getattr(error, "format_message", None)  # of click's usage errors
    if isinstance(error, InputError):
        print_error(str(error))
        return 2
    if format_message is not None:
        return _report_usage_error(error, format_message())
    if isinstance(error, OSError) and error.filename is not None:
        print_error(f"{error.filename}: {(error.strerror or str(error)).lower()}")
        return 2
    number = getattr(error, "signal", None)  # of training.Interrupted
    if isinstance(number, int):
        print_error(str(error))
        return 128 + number
    traceback.print_exc()
    print_error("this is a defect of noisette, not of your input: please report it with the lines above")
    return 1


def _report_usage_error(error: Exception, message: str) -> int:
    """Print a usage error in one sentence with a pointer to the help. `noisette` alone prints the help: no error."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message)
        return 0
    path = context.command_path if context is not None else "noisette"
    print_error(f"{' '.join(message.split())} (see {path} --help)")
    return 2
