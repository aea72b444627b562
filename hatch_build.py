"""Build hook: a wheel built where there is a C compiler, on x86-64 Linux, carries the compiled CPU kernels.

One library for each kind of processor in src/noisette/nn/kernels/compiler.py; at run time the best one that the
processor can run is loaded. Without a compiler, elsewhere, or with NOISETTE_BUILD_KERNELS=0 the wheel is pure Python,
and compiles the kernels when they are first needed. Editable installs always do.

With NOISETTE_NPM, a folder in which npm has installed onnxruntime-web, the wheel also carries the part of it that
`noisette export --to web` puts into pages (4 MB packed). With NOISETTE_DOCS, the folder that `make docs` has built
(build/docs), it carries the documentation site, which `noisette course` opens where there is no Jupyter.
"""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = Path("src", "noisette", "nn", "kernels")
WEB_RUNTIME = "onnxruntime-web"
WEB_RUNTIME_FILES = (
    "package.json",
    "dist/ort.wasm.min.js",
    "dist/ort-wasm-simd-threaded.mjs",
    "dist/ort-wasm-simd-threaded.wasm",
)
SITE = "noisette/course/site"
TORCH_GLIBC = 28  # PyTorch's own wheels need glibc 2.28


class KernelBuildHook(BuildHookInterface[Any]):
    """Compiles the variants into a temporary folder, and adds them to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the libraries and the platform tag to `build_data`, or leave the wheel pure and say why."""
        compiler = load_compiler(Path(self.root) / KERNELS / "compiler.py")
        if version == "editable":
            return
        build_data["force_include"].update(list_web_runtime(os.environ.get("NOISETTE_NPM")))
        build_data["force_include"].update(list_site(os.environ.get("NOISETTE_DOCS")))
        if (reason := why_pure(compiler)) is not None:
            self.app.display_info(f"The wheel has no compiled kernels: {reason}")
            return
        self.folder = Path(tempfile.mkdtemp(prefix="noisette-kernels-"))
        libraries = {name: self.compile_variant(compiler, name) for name in compiler.VARIANTS}
        for name, path in libraries.items():
            build_data["force_include"][str(path)] = f"noisette/nn/kernels/compiled/kernels-{name}.so"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(list(libraries.values()))}"

    def compile_variant(self, compiler: ModuleType, name: str) -> Path:
        """The library of one variant; a compiler that does not know its flags fails the build."""
        folder = self.folder / name
        folder.mkdir()
        try:
            library: Path = compiler.compile_kernels(folder, compiler.VARIANTS[name].flags)
        except subprocess.CalledProcessError as error:
            message = error.stderr.decode(errors="replace").strip()
            raise RuntimeError(
                f"the C compiler cannot build the kernels for {name} (GCC 11 or Clang 12 can; "
                f"NOISETTE_BUILD_KERNELS=0 builds a wheel without them): {message}"
            ) from error
        return library

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary folder."""
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)


def list_web_runtime(npm: str | None) -> dict[str, str]:
    """The files of ONNX Runtime Web for pages (`noisette.interop.web_runtime`) → their places in the wheel; none where
    npm has not installed them into the folder `npm`."""
    package = Path(npm or "", "node_modules", WEB_RUNTIME)
    if not npm or not package.is_dir():
        return {}
    return {str(package / name): f"noisette/interop/web/{WEB_RUNTIME}/{name}" for name in WEB_RUNTIME_FILES}


def list_site(folder: str | None) -> dict[str, str]:
    """The documentation site → its place in the wheel; nothing where none is given. Another folder is an error."""
    if not folder:
        return {}
    if not Path(folder, "course.html").is_file():
        raise RuntimeError(f"NOISETTE_DOCS is {folder}, which holds no course.html: run `make docs` first")
    return {folder: SITE}


def load_compiler(path: Path) -> ModuleType:
    """noisette.nn.kernels.compiler, without importing noisette, which needs PyTorch."""
    spec = importlib.util.spec_from_file_location("noisette_compiler", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def why_pure(compiler: ModuleType) -> str | None:
    """Why this wheel is built without kernels; None if it is built with them."""
    if os.environ.get("NOISETTE_BUILD_KERNELS") == "0":
        return "NOISETTE_BUILD_KERNELS is 0"
    if platform.system() != "Linux" or platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc":
        return "they are built on x86-64 Linux with glibc"
    return None if compiler.find_compiler() is not None else "there is no C compiler here"


def platform_tag(libraries: list[Path]) -> str:
    """manylinux for the newest glibc symbol that the libraries use (PEP 600).

    They need no other library than libc and libm: OpenMP's functions come from PyTorch, and are not linked.
    """
    symbols = {int(minor) for path in libraries for minor in re.findall(rb"GLIBC_2\.(\d+)", path.read_bytes())}
    return f"manylinux_2_{max(symbols | {TORCH_GLIBC})}_x86_64"
