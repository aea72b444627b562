"""The steps of the Containerfile without a container: is the wheel enough, and does it need to write anywhere?

    python tools/container.py WHEEL [--find-links FOLDER] [--site-packages FOLDER]

Installs the wheel with its extra `serve` into a new environment, removes the right to write from it, and starts
`noisette serve base-16` there, in an empty folder that cannot be written to, with HOME in a new temporary folder; if it
runs as root, the server runs as the user nobody. Then it draws a picture, and ends the server by SIGTERM.
--site-packages: a folder with packages that are not installed again, like torch; without it they are fetched.
"""

import argparse
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from pathlib import Path

TOKEN = "the-token-of-the-container"
NOBODY = 65534


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--find-links", help="folder of wheels for pip")
    parser.add_argument("--site-packages", type=Path, help="packages that are there already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="noisette-container-") as name:
        top = Path(name)
        top.chmod(0o755)
        python = install(top / "environment", options.wheel, options.find_links, options.site_packages)
        empty, home = top / "empty", top / "home"
        empty.mkdir(mode=0o555)
        home.mkdir(mode=0o777)
        home.chmod(0o777)
        forbid_writing(top / "environment")
        try_server(python, empty, home)
        if left := sorted(path.relative_to(home).as_posix() for path in home.rglob("*")):
            print(f"left in HOME: {', '.join(left)}")
        allow_writing(top / "environment")
    print("ready: the server needs to write nowhere but in HOME and its temporary folder")


def install(folder: Path, wheel: Path, find_links: str | None, site_packages: Path | None) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    if site_packages is not None:
        (place,) = (folder / "lib").glob("python*/site-packages")
        (place / "there.pth").write_text(f"{site_packages}\n")
    words = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[serve]"]
    if find_links is not None:
        words += ["--find-links", find_links]
    subprocess.run(list(map(str, words)), check=True)
    return python


def forbid_writing(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(
                path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) | stat.S_IRUSR | stat.S_IROTH
            )


def allow_writing(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


def try_server(python: Path, folder: Path, home: Path) -> None:
    start = time.monotonic()
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    environment = {"HOME": str(home), "TMPDIR": str(home), "NOISETTE_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"}
    environment |= {"PATH": f"{python.parent}:/usr/bin:/bin", "HF_HUB_OFFLINE": "1"}
    words = [str(python.with_name("noisette")), "serve", "base-16", "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment, **user)  # type: ignore[call-overload]
    try:
        line = process.stdout.readline()
        print(line.strip(), f"after {time.monotonic() - start:.1f} s")
        request = urllib.request.Request(
            f"{line.split()[2]}/v1/draw",
            json.dumps({"seed": 1}).encode(),
            {"Authorization": f"Bearer {TOKEN}", "Accept": "image/png"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            print(f"a picture of {len(answer.read())} bytes")
    finally:
        process.terminate()
        code = process.wait(120)
    assert code == 143, code


if __name__ == "__main__":
    sys.exit(main())
