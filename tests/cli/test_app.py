"""Names, help, errors and exit codes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import commands
from noisette import __version__
from noisette.cli import app as app_module
from noisette.cli import terminal
from noisette.cli.aliases import ALIASES, translate_arguments
from noisette.errors import InputError
from noisette.sampling.files import slugify

COMMANDS = ("scan", "train", "sample", "steps", "export", "demo", "doctor")


def test_help_names_every_command_and_is_quick() -> None:
    """Within half a second on an idle machine: nothing heavy is imported."""
    took, help_words = [], commands.command("--help")
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(help_words, capture_output=True, text=True, env=commands.ENV, check=False)
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


def test_option_names_of_other_trainers_are_translated() -> None:
    theirs = ["--train_data_dir=pics", "--resolution", "16", "--learning_rate=1e-4", "--pixel_art", "--seed", "1"]
    assert translate_arguments(theirs) == ["pics", "--size", "16", "--lr=1e-4", "--pixel-art", "--seed", "1"]
    assert translate_arguments(["--train_data_dir", "pics"]) == ["pics"]
    assert translate_arguments(["my_pics", "-n", "4", "--", "--resolution"]) == [
        "my_pics",
        "-n",
        "4",
        "--",
        "--resolution",
    ]
    assert translate_arguments(["--label", "a_b"]) == ["--label", "a_b"]
    known = {
        option
        for command in typer.main.get_command(app_module.app).commands.values()  # type: ignore[attr-defined]
        for parameter in command.params
        for option in parameter.opts
    }
    assert set(ALIASES.values()) <= known and not set(ALIASES) & known


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("no cat is called 'dgo'"), 2, "noisette: no cat is called 'dgo'\n"),
        (PermissionError(13, "Permission denied", "/there/x"), 2, "noisette: /there/x: permission denied\n"),
        (FileNotFoundError(2, "No such file or directory", "x.png"), 2, "noisette: x.png: no such file or directory\n"),
        (KeyboardInterrupt(), 130, "noisette: stopped\n"),
    ],
)
def test_exit_codes_and_messages_of_errors(call, monkeypatch, error, code: int, message: str) -> None:
    _raising(monkeypatch, error)
    result = call("boom")
    assert (result.code, result.err, result.out) == (code, message, "")
    if isinstance(error, Exception):
        trace = call("boom", "--traceback").err
        assert "Traceback" in trace and "in boom" in trace and trace.endswith(message)
        assert call("--traceback", "boom").err.splitlines()[-2:] == trace.splitlines()[-2:]


OWN = """
import noisette
from noisette.diffusion import sampler
@noisette.register
class {name}(sampler.DDIM):
    pass
"""


@pytest.fixture
def tables_as_they_were():
    from noisette.models import registry

    tables = [*registry.TABLES.values(), registry.MODULES, registry._TITLES]
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


@pytest.mark.usefixtures("tables_as_they_were")
def test_import_makes_one_s_own_names_known_in_any_position(call, refused, model, tmp_path, monkeypatch) -> None:
    (tmp_path / "own_one.py").write_text(OWN.format(name="One"))
    (tmp_path / "own_two.py").write_text(OWN.format(name="Two"))
    monkeypatch.chdir(tmp_path)
    draw = ("sample", model, "-n", 1, "--steps", 2, "--out")
    assert "no sampler is called 'One'" in refused(*draw, "a", "--sampler", "One")
    for i, words in enumerate((
        ("--import", tmp_path / "own_one.py", *draw, "a", "--sampler", "One"),
        (*draw, "b", "--sampler", "Two", "--import=own_two"),
    )):  # fmt: skip
        result = call(*words)
        assert result.code == 0, result.err
        assert (tmp_path / "ab"[i] / "grid.png").is_file()
    assert tmp_path.as_posix() not in sys.path


@pytest.mark.usefixtures("tables_as_they_were")
def test_a_file_that_python_finds_as_a_module_is_that_module(call, model, tmp_path, monkeypatch) -> None:
    """`python -m noisette` has the current folder on its path, so a file in it can be found in both ways."""
    (tmp_path / "own_three.py").write_text(OWN.format(name="Three"))
    monkeypatch.syspath_prepend(tmp_path)
    result = call(
        *("--import", tmp_path / "own_three.py", "--import", "own_three", "sample", model, "-n", 1, "--steps", 2),
        *("--out", tmp_path / "out", "--sampler", "Three"),
    )
    assert result.code == 0, result.err


def test_what_cannot_be_imported(refused, tmp_path) -> None:
    broken = tmp_path / "broken_module.py"
    broken.write_text("x = 1\n1 / 0\n")
    (tmp_path / "json.py").write_text("")
    assert "there is no such module" in refused("--import", "no_such_module_here", "doctor")
    assert "there is no such file" in refused("doctor", "--import", tmp_path / "none.py")
    assert "ZeroDivisionError" in (message := refused("--import", broken, "doctor")) and "line 2" in message
    assert "another module is called 'json'" in refused("--import", tmp_path / "json.py", "doctor")
    assert "needs a module's name" in refused("doctor", "--import")


def test_internal_errors_print_a_traceback(call, monkeypatch) -> None:
    _raising(monkeypatch, ZeroDivisionError("oh"))
    result = call("boom")
    assert result.code == 1
    assert "in boom" in result.err and "ZeroDivisionError: oh" in result.err and "defect of noisette" in result.err


def test_a_stopped_run_names_the_command_that_resumes_it(call, monkeypatch, tmp_path) -> None:
    from noisette.training import Interrupted

    for number, code in ((2, 130), (15, 143)):
        _raising(monkeypatch, Interrupted(number, tmp_path))
        result = call("boom")
        assert result.code == code and "the same command continues" in result.err


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
        messages = process.stderr.read()
    assert process.returncode == 0 and messages == b""


def test_only_the_first_process_speaks(monkeypatch, capsys) -> None:
    launched = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    for name, value in (launched | {"RANK": "1"}).items():
        monkeypatch.setenv(name, value)
    terminal.get_console().print("hello")
    terminal.print_json({"a": 1})
    terminal.print_paths([])
    assert capsys.readouterr().out == ""
    terminal.print_error("something is wrong here")
    assert capsys.readouterr().err == "noisette, process 1: something is wrong here\n"
    monkeypatch.setenv("RANK", "0")
    terminal.print_json({"a": 1})
    assert capsys.readouterr().out == '{"a": 1}\n'


def test_paths_are_absolute_and_never_folded(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    long = "/".join(["a-rather-long-name"] * 12)
    terminal.print_paths([terminal.Path(long)])
    assert f"  {os.fspath(tmp_path.resolve())}/{long}\n" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", "1e999"])
def test_no_option_takes_what_is_no_number(value: str) -> None:
    """Every option of every command that takes a number: refused in a sentence, before anything is read."""
    tried = 0
    for path, command in all_commands():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        needed = ["1"] * len(arguments) + [word for p in options if p.required for word in (p.opts[-1], "1")]
        for option in options:
            if option.type_descriptor.annotation is float:
                flag = option.opts[-1]
                with pytest.raises(InputError, match=f"{flag} must be a finite number, got"):
                    command.make_context(path, [*needed, flag, *[value] * option.nargs])
                tried += 1
    assert tried > 20


def all_commands() -> Iterator[tuple[str, Any]]:
    """The path and the command of everything that can be typed."""
    groups: list[tuple[str, Any]] = [("noisette", typer.main.get_command(app_module.app))]
    while groups:
        path, command = groups.pop()
        if hasattr(command, "commands"):
            groups += [(f"{path} {name}", sub) for name, sub in command.commands.items()]
        else:
            yield path, command


@pytest.mark.parametrize("label", ["𒀀" * 80, "é" * 300, "../../etc", "a\0b", "con:nul*?", "-x", "…", "e\u0301t\u00e9"])
def test_every_label_becomes_a_file_name(label: str, tmp_path: Path) -> None:
    name = slugify(label)
    assert len(name.encode()) <= 100 and not set(name) & set('/\\:*?"<>|\0') and not name.startswith(("-", "."))
    (tmp_path / f"{name}-000001.png").write_bytes(b"")
    assert len(list(tmp_path.iterdir())) == 1
