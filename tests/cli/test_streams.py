"""What is printed arrives in any encoding, obeys no file name, and ends no command where it cannot be written."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from commands import ENV, SMALL, command
from forking import Server, shared
from noisette.cli.streams import LastingStream, visible
from noisette.cli.terminal import get_console, print_json

WORDS = ("--images", "16", "--preset", "tiny", "--batch", "8", "--precision", "fp32", "--recipe", SMALL)
EVIL = "a\x1b[2Jb\x9bc\u202ed.png"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(24):
        Image.new("RGB", (8, 8), (10 * i, 200 - 8 * i, 7 * i)).save(folder / f"{i}.png")
    return folder


def stream(encoding: str) -> tuple[LastingStream, io.BytesIO]:
    raw = io.BytesIO()
    return LastingStream(io.TextIOWrapper(raw, encoding=encoding)), raw


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", "10³ × σ → 火".encode()), ("cp1252", "10³ × sigma -> ?".encode("cp1252")),
     ("ascii", b"10^3 x sigma -> ?"), ("iso8859-1", "10³ × sigma -> ?".encode("latin-1"))],
)  # fmt: skip
def test_what_an_encoding_lacks_is_replaced(encoding: str, expected: bytes) -> None:
    lasting, raw = stream(encoding)
    lasting.write("10³ × σ → 火")
    lasting.flush()
    assert raw.getvalue() == expected


def test_a_name_that_is_no_text_is_printed_as_the_bytes_it_is() -> None:
    lasting, raw = stream("utf-8")
    lasting.write(os.fsdecode(b"caf\xe9.png"))
    lasting.flush()
    assert raw.getvalue() == b"caf\xe9.png"


def test_control_characters_are_shown_and_colors_stay() -> None:
    lasting, raw = stream("utf-8")
    lasting.write(f"\x1b[1mbold\x1b[0m {EVIL}\n")
    lasting.as_is.write("\x1b[2K")
    lasting.flush()
    assert raw.getvalue() == b"\x1b[1mbold\x1b[0m a\\x1b[2Jb\\x9bc\\u202ed.png\n\x1b[2K"
    assert visible("a\tb\nc") == "a\tb\nc"


def test_tables_and_json_show_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    lasting, raw = stream("utf-8")
    monkeypatch.setattr(sys, "stdout", lasting)
    get_console().print(EVIL, markup=False)
    print_json({"name": EVIL, "odd": "\udce9"})
    lasting.flush()
    first, second = raw.getvalue().split(b"\n")[:2]
    assert first == b"a\\x1b[2Jb\\x9bc\\u202ed.png"
    assert json.loads(second) == {"name": EVIL, "odd": "\udce9"} and b"\x9b" not in second


def test_a_stream_that_fails_is_remembered_and_not_raised() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        lasting = LastingStream(full)
        for _ in range(3):
            lasting.write("x" * 10_000)
            lasting.flush()
        assert lasting.file.error is not None and "space" in str(lasting.file.error)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_commands_print_in_any_encoding(pictures: Path, encoding: str) -> None:
    server = Server(("noisette.data",), PYTHONIOENCODING=encoding)  # read when Python starts, for all forks
    for words in (("scan", pictures), ("doctor",), ("--help",), ("scan", pictures, "--json")):
        process = server.start(*words)
        done = process.wait()
        assert done.returncode == 0 and process.written().decode(encoding) and not done.stderr, (words, done.stderr)
    server.close()


def test_training_continues_without_a_readable_stdout(pictures: Path, tmp_path: Path) -> None:
    """A full disk under the log: reported at the end. A closed pipe: no message. A closed terminal: none either."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = shared().run("train", pictures, "--out", tmp_path / "full", *WORDS, stdout=full.fileno())
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "could not be written to stdout" in done.stderr
    reading, writing = os.pipe()
    os.close(reading)
    done = shared().run("train", pictures, "--out", tmp_path / "left", *WORDS, "--json", stdout=writing)
    os.close(writing)
    assert done.returncode == 0 and done.stderr == ""
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command("train", pictures, "--out", tmp_path / "closed", *WORDS)],
        env=ENV, check=False,
    )  # fmt: skip
    assert closed.returncode == 0
    for name in ("full", "left", "closed"):
        assert (tmp_path / name / "model" / "model.safetensors").is_file(), name


def test_an_error_has_its_exit_code_with_stderr_closed() -> None:
    done = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *command("scan", "nosuch")], env=ENV, check=False)
    assert done.returncode == 2


def test_a_leftover_rank_in_the_environment_is_ignored(pictures: Path) -> None:
    for left in ({"RANK": "3"}, {"RANK": "1", "WORLD_SIZE": "2"}, {"RANK": "x", "LOCAL_RANK": "y"}):
        done = shared().run("scan", pictures, **left)
        assert done.returncode == 0 and "24" in done.stdout, left
