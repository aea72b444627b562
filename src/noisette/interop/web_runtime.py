"""Where the files of ONNX Runtime Web are, which a page needs to run a network in a browser.

They are not part of this repository (14 MB). A wheel that is built with NOISETTE_NPM set contains them; otherwise they
come from npm: `npm install onnxruntime-web@VERSION`.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..io.files import read_bytes

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"  # the version that the tests use
CODE, GLUE, WASM = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
FILES = (CODE, GLUE, WASM)  # of the package's folder dist: the build for CPUs
BUNDLED = Path(__file__).with_name("web") / PACKAGE  # in a wheel: package.json and dist/


@dataclass(frozen=True)
class WebRuntime:
    """ONNX Runtime Web: its version and the contents of its files."""

    version: str
    code: bytes
    glue: bytes
    wasm: bytes


def find_runtime(folder: Path | None = None) -> WebRuntime:
    """ONNX Runtime Web in `folder`, the npm package. Default: from the wheel, from the npm folder that the environment
    variable NOISETTE_NPM names, or from node_modules of the working folder or one above it, in this order.

    Raises InputError that says how to get it if it is not there.
    """
    places = list_places() if folder is None else [folder, folder / "node_modules" / PACKAGE]
    place = next((p for p in places if all((p / "dist" / name).is_file() for name in FILES)), None)
    if place is None:
        where = "was not found" if folder is None else f"is not in {folder}"
        raise InputError(
            f"the page needs {PACKAGE}, which {where}: run `npm install {PACKAGE}@{VERSION}` in this folder, or unpack "
            f"what `npm pack {PACKAGE}@{VERSION}` downloads, and give its folder with --runtime"
        )
    code, glue, wasm = (read_bytes(place / "dist" / name) for name in FILES)
    return WebRuntime(_read_version(place / "package.json"), code, glue, wasm)


def list_places() -> list[Path]:
    """The folders in which the package may be."""
    here = Path.cwd()
    roots = [Path(os.environ["NOISETTE_NPM"])] if os.environ.get("NOISETTE_NPM") else []
    return [BUNDLED, *(root / "node_modules" / PACKAGE for root in (*roots, here, *here.parents))]


def _read_version(path: Path) -> str:
    try:
        version = json.loads(path.read_bytes())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return "of an unknown version"
    return str(version)
