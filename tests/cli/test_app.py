"""Names, help, errors and exit codes."""

import os
import subprocess
import sys
import time

import pytest
import typer

from noisette import __version__
from noisette.cli import app as app_module
from noisette.cli import terminal
from noisette.cli.names import ALIASES, translated
from noisette.errors import InputError

from .conftest import python

COMMANDS = ("scan", "train", "sample", "steps", "export", "demo", "doctor")


def test_help_names_every_command_and_is_quick() -> None:
    """Within half a second on an idle machine: nothing heavy is imported."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        done = python("--help")
        took.append(time.perf_counter() - start)
    assert done.returncode == 0 and all(name in done.stdout for name in COMMANDS)
    code = (
        "import sys\nfrom noisette.cli import main\n"
        "try: main(['train', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'accelerate', 'safetensors', 'psutil'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert min(took) < 2.0  # of a busy machine


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(call, name: str) -> None:
    command = typer.main.get_command(app_module.app).commands[name]  # type: ignore[attr-defined]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name}"
    assert call(name, "--help").code == 0


def test_version_and_bare_command(call) -> None:
    assert call("--version").out == f"noisette {__version__}\n"
    assert "Usage" in call().out and call().code == 0


def test_wrong_commands_and_options_are_one_sentence(refused) -> None:
    assert "Did you mean 'scan'?" in refused("scna", "x")
    assert "--seed" in refused("train", "x", "--out", "y", "--sed", "3")
    assert "source" in refused("train", "--out", "y").lower()
    assert "'-n'" in refused("sample", "x", "--out", "y", "-n", "many")
    assert "--out" in refused("sample", "x")


def test_other_peoples_words() -> None:
    theirs = ["--train_data_dir=pics", "--resolution", "16", "--learning_rate=1e-4", "--pixel_art", "--seed", "1"]
    assert translated(theirs) == ["pics", "--size", "16", "--lr=1e-4", "--pixel-art", "--seed", "1"]
    assert translated(["--train_data_dir", "pics"]) == ["pics"]
    assert translated(["my_pics", "-n", "4", "--", "--resolution"]) == ["my_pics", "-n", "4", "--", "--resolution"]
    assert translated(["--label", "a_b"]) == ["--label", "a_b"]
    known = {
        option
        for command in typer.main.get_command(app_module.app).commands.values()  # type: ignore[attr-defined]
        for parameter in command.params
        for option in parameter.opts
    }
    assert set(ALIASES.values()) <= known and not set(ALIASES) & known


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("no cat is called 'dgo'"), 2, "noisette: no cat is called 'dgo'\n"),
        (PermissionError(13, "Permission denied", "/there/x"), 2, "noisette: /there/x: permission denied\n"),
        (FileNotFoundError(2, "No such file or directory", "x.png"), 2, "noisette: x.png: no such file or directory\n"),
        (KeyboardInterrupt(), 130, "noisette: stopped\n"),
    ],
)
def test_what_becomes_of_errors(call, monkeypatch, error, code: int, said: str) -> None:
    _raising(monkeypatch, error)
    result = call("boom")
    assert (result.code, result.err, result.out) == (code, said, "")
    if isinstance(error, Exception):
        told = call("boom", "--traceback").err
        assert "Traceback" in told and "in boom" in told and told.endswith(said)
        assert call("--traceback", "boom").err.splitlines()[-2:] == told.splitlines()[-2:]


def test_defects_of_ours_show_everything(call, monkeypatch) -> None:
    _raising(monkeypatch, ZeroDivisionError("oh"))
    result = call("boom")
    assert result.code == 1
    assert "in boom" in result.err and "ZeroDivisionError: oh" in result.err and "defect of noisette" in result.err


def test_a_stopped_run_says_how_to_go_on(call, monkeypatch, tmp_path) -> None:
    from noisette.train import Interrupted

    for number, code in ((2, 130), (15, 143)):
        _raising(monkeypatch, Interrupted(number, tmp_path))
        result = call("boom")
        assert result.code == code and "the same command goes on" in result.err


def _raising(monkeypatch, error: BaseException) -> None:
    broken = typer.Typer()

    @broken.callback()
    def top() -> None: ...

    @broken.command()
    def boom() -> None:
        raise error

    monkeypatch.setattr(app_module, "app", broken)


def test_a_closed_pipe_is_quiet(sprites) -> None:
    command = [sys.executable, "-m", "noisette", "scan", str(sprites), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1 and said == b""


def test_only_the_first_process_speaks(monkeypatch, capsys) -> None:
    monkeypatch.setenv("RANK", "1")
    terminal.console().print("hello")
    terminal.machine({"a": 1})
    terminal.wrote([])
    assert capsys.readouterr().out == ""
    terminal.complain("something is wrong here")
    assert capsys.readouterr().err == "noisette, process 1: something is wrong here\n"
    monkeypatch.setenv("RANK", "0")
    terminal.machine({"a": 1})
    assert capsys.readouterr().out == '{"a": 1}\n'


def test_paths_are_absolute_and_never_folded(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    long = "/".join(["a-rather-long-name"] * 12)
    terminal.wrote([terminal.Path(long)])
    assert f"  {os.fspath(tmp_path.resolve())}/{long}\n" in capsys.readouterr().out
