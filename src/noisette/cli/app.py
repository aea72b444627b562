"""Which commands there are, and what becomes of an error.

Exit codes: 0 done; 2 what was given cannot be used, said in one sentence; 130 and 143 stopped by Ctrl-C and SIGTERM;
1 a defect of ours, with everything that helps to find it.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from .. import __version__
from ..errors import InputError
from .convert import convert
from .demo import demo
from .doctor import doctor
from .edit import edit
from .evaluate import evaluate
from .explain import explain
from .export import export
from .film import film
from .names import PeoplesNames
from .plan import plan
from .sample import sample
from .scan import scan
from .steps import steps
from .studio import studio
from .terminal import complain
from .train import train
from .train_classifier import train_classifier

app = typer.Typer(
    name="noisette",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    scan,
    plan,
    train,
    train_classifier,
    sample,
    steps,
    evaluate,
    explain,
    film,
    convert,
    export,
    studio,
    demo,
    doctor,
):
    app.command(cls=PeoplesNames)(command)
app.add_typer(edit, name="edit")


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"noisette {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def noisette(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
    trace: Annotated[bool, typer.Option("--traceback", help="Show where an error came from. Goes anywhere.")] = False,
) -> None:
    """Grow a generative model from your own folder of small pictures."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line, and exit."""
    # threads wait awake for some microseconds, then sleep: on a quiet machine the next piece of work finds them awake,
    # and on a busy one (a browser is enough) they do not take its time; both are measured in docs/log.md
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    given = list(sys.argv[1:] if arguments is None else arguments)
    trace = "--traceback" in given
    given = [a for a in given if a != "--traceback"]
    try:
        code = app(given, prog_name="noisette", standalone_mode=False)
    except Exception as error:
        if trace:
            traceback.print_exc()
        code = _explain(error)
    except KeyboardInterrupt:
        code = 130
    if code == 130 and not trace:
        complain("stopped")
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """Say what went wrong, and which exit code that is."""
    sentence = getattr(error, "format_message", None)  # of a usage error
    if isinstance(error, InputError):
        complain(str(error))
        return 2
    if sentence is not None:
        return _usage(error, sentence())
    if isinstance(error, OSError) and error.filename is not None:
        complain(f"{error.filename}: {(error.strerror or str(error)).lower()}")
        return 2
    number = getattr(error, "signal", None)  # of train.Interrupted
    if isinstance(number, int):
        complain(str(error))
        return 128 + number
    traceback.print_exc()
    complain("this is a defect of noisette, not of what you gave it: please report it with the lines above")
    return 1


def _usage(error: Exception, sentence: str) -> int:
    """A usage error in one sentence, and where to read on. Bare `noisette` is not an error: it shows the help."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(sentence)
        return 0
    path = context.command_path if context is not None else "noisette"
    complain(f"{' '.join(sentence.split())} ({path} --help says more)")
    return 2
