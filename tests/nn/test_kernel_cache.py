"""Compiled kernels are loaded only from what is the user's own, whole, and writable by nobody else."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import forking
from noisette.nn.kernels import cache, library

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or library.find_compiler() is None, reason="there is no C compiler here"
)
PLANTED = '#include <stdio.h>\n__attribute__((constructor)) void f(void) { fprintf(stderr, "PLANTED CODE RUNS\\n"); }\n'


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler that notes its calls, and links what the tests' own process has already compiled; it is fast."""
    compiled = cache.cache_folders()[0].resolve() / library.library_name(library.NATIVE_FLAGS)
    if not cache.is_intact(compiled):
        library.get_build()
        pytest.skip("the kernels of this process do not come from the cache")
    script = tmp_path / "bin" / "cc"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n"
        'for last; do :; done\necho "$last" >> "$0.log"\n'
        f'case "$last" in *.so) cp {compiled} "$last" ;; *) : > "$last" ;; esac\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is remembered
    (tmp_path / "tmp").mkdir()
    return script


def cache_path() -> Path:
    """Where the compiled kernels are kept."""
    return cache.cache_folders()[0] / library.library_name(library.NATIVE_FLAGS)


def calls(compiler: Path) -> int:
    log = Path(f"{compiler}.log")
    return sum(line.endswith(".so") for line in log.read_text().splitlines()) if log.exists() else 0


@dataclass(frozen=True)
class Built:
    loaded: bool
    description: str
    stderr: str


@pytest.fixture
def build(capfd: pytest.CaptureFixture[str]) -> Callable[[], Built]:
    """Load the kernels as a new process would."""

    def run() -> Built:
        capfd.readouterr()
        result = library.build_library()
        return Built(result.library is not None, result.description, capfd.readouterr().err)

    return run


def test_compiles_once_and_prints_one_line(compiler: Path, build: Callable[[], Built]) -> None:
    first, second = build(), build()
    assert calls(compiler) == 1 and first.loaded and "compiled for this processor" in first.description
    (line,) = first.stderr.splitlines()
    assert line.startswith("compiling the CPU kernels, once for this machine: ~") and line.endswith(" s")
    assert second == Built(True, first.description, "")
    path = cache_path()
    assert cache.is_intact(path) and path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
    assert {p.suffix for p in path.parent.iterdir()} == {".so", ".sha256", ""} and len(list(path.parent.iterdir())) == 3


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "no checksum", "group-writable", "link"])
def test_what_is_damaged_is_compiled_anew(compiler: Path, build: Callable[[], Built], damage: str) -> None:
    build()
    path = cache_path()
    data = path.read_bytes()
    if damage in ("truncated", "empty", "flipped"):
        path.unlink()  # this process has the file mapped
    if damage in ("truncated", "empty"):
        path.write_bytes(data[: 100_000 if damage == "truncated" else 0])
    elif damage == "flipped":
        path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    elif damage == "no checksum":
        path.with_name(path.name + ".sha256").unlink()
    elif damage == "group-writable":
        path.chmod(0o664)
    else:
        path.rename(path.with_name("elsewhere.so"))
        path.symlink_to("elsewhere.so")
    assert not cache.is_intact(path)
    assert build().loaded and calls(compiler) == 2
    assert cache.is_intact(path) and path.read_bytes() == data


def test_a_library_that_lacks_a_function_is_compiled_anew(compiler: Path, build: Callable[[], Built]) -> None:
    """As one that another compiler or another version made, whole and with its checksum."""
    build()
    path = cache_path()
    data, source = path.read_bytes(), path.with_suffix(".c")
    source.write_text("int norm_work(void) { return 0; }")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(source.with_suffix(".other")), str(source)], check=True)
    path.unlink()  # this process has the file mapped
    cache.store(source.with_suffix(".other").read_bytes(), path)
    assert cache.is_intact(path)
    program = "from noisette.nn.kernels.library import get_build; print(get_build())"  # here the path is loaded already
    done = forking.shared().run("-c", program, **os.environ)
    assert "compiled for this processor" in done.stdout and done.returncode == 0, done.stderr
    assert calls(compiler) == 2 and path.read_bytes() == data


def write_foreign_library(path: Path) -> None:
    source = path.with_suffix(".c")
    source.write_text(PLANTED)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(path), str(source)], check=True)
    path.with_name(path.name + ".sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("shared", [0o1777, 0o777])
def test_what_another_user_planted_is_not_loaded(compiler: Path, build: Callable[[], Built], shared: int) -> None:
    """A cache folder that several users share: another one makes noisette's folder first, checksum and all."""
    path = cache_path()
    path.parent.mkdir(parents=True)
    path.parent.parent.chmod(shared)
    write_foreign_library(path)
    for path_of_other in (path.parent, *path.parent.iterdir()):
        os.chown(path_of_other, 54321, 54321)
    done = build()
    assert "PLANTED" not in done.stderr
    assert str(Path(os.environ["TMPDIR"]) / f"noisette-{os.geteuid()}") in done.description  # the next best place
    assert calls(compiler) == 1 and build().stderr == ""


def test_a_folder_that_others_can_write_to_is_not_trusted(compiler: Path) -> None:
    folder = cache_path().parent
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match=r"others can write to .*: chmod go-w "):
        cache.prepare_folder(folder)
    folder.chmod(0o755)
    folder.parent.chmod(0o777)
    with pytest.raises(PermissionError, match="others can write to"):
        cache.prepare_folder(folder)
    folder.parent.chmod(0o1777)
    assert cache.prepare_folder(folder) == folder.resolve()


def test_no_folder_can_be_trusted(compiler: Path, build: Callable[[], Built]) -> None:
    """Then PyTorch does it, and the reason names both folders."""
    for folder in cache.cache_folders():
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    done = build()
    assert not done.loaded and done.stderr == "" and calls(compiler) == 0
    assert all(f"others can write to {folder}" in done.description for folder in cache.cache_folders())


def test_cannot_be_written_to(
    compiler: Path, build: Callable[[], Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    done = build()
    assert done.loaded and str(tmp_path / "tmp") in done.description and calls(compiler) == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody else")
def test_without_a_home(compiler: Path, tmp_path: Path) -> None:
    """A user without HOME and without an entry in the password file, as in containers: the temporary folder serves."""
    program = (
        "import os; os.setgid(54321); os.setuid(54321)\n"
        "from noisette.nn.kernels.library import get_build; print(get_build())"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            pytest.skip(f"other users cannot enter {folder}")
    (tmp_path / "tmp").chmod(0o1777)
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "CC")}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "compiled for this processor" in done.stdout and "noisette-54321" in done.stdout


def test_a_relative_cache_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.cache_folders()[0] == tmp_path / "home" / ".cache" / "noisette"


def test_a_compiler_that_is_no_command_line(build: Callable[[], Built], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", 'gcc"')
    done = build()
    assert not done.loaded and "CC is not a command line" in done.description
