"""A wheel built where there is a C compiler brings the kernels to machines without one."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from noisette.course import notebooks
from noisette.interop import web_runtime
from noisette.nn.kernels import library
from noisette.nn.kernels.compiler import VARIANTS

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(library.find_compiler() is None or not VARIANTS["avx2"].required_features
                       <= library.read_cpu_features(), reason="there is no compiler, or no AVX2, here"),
]  # fmt: skip
ANSWERS = """
import sys, torch
from noisette.nn import UNet, UNetConfig
from noisette.nn.kernels.library import get_build
import noisette
torch.set_num_threads(1)
torch.manual_seed(0)
net = UNet(UNetConfig(channels=(32, 64), attention=(False, True), groups=4, time_channels=8, blocks=1, heads=2))
for p in net.parameters():
    torch.nn.init.normal_(p, std=0.1)
y = net(torch.randn(2, 3, 8, 8), torch.rand(2))
y.square().sum().backward()
torch.save([y.detach(), *(p.grad for p in net.parameters())], sys.argv[1])
print(noisette.__file__, get_build())
"""


def build_wheel(folder: Path, **environment: str) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_a_wheel_without_compiler_is_pure(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path / "pure", PATH=str(tmp_path), CC="")
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "noisette/nn/kernels/winograd.c" in names and not any(name.endswith(".so") for name in names)


def test_a_wheel_may_carry_what_pages_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of npm's ONNX Runtime Web, where `find_runtime` looks for them first."""
    dist = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    dist.mkdir(parents=True)
    for name in web_runtime.FILES:
        (dist / name).write_bytes(name.encode())
    (dist.parent / "package.json").write_text('{"version": "1.2.3"}')
    wheel = build_wheel(tmp_path / "carries", NOISETTE_NPM=str(tmp_path), NOISETTE_BUILD_KERNELS="0")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    place = tmp_path / "site" / web_runtime.BUNDLED.relative_to(ROOT / "src")
    monkeypatch.setattr(web_runtime, "BUNDLED", place)
    found = web_runtime.find_runtime()
    assert (found.version, found.code, found.wasm) == ("1.2.3", *(web_runtime.FILES[i].encode() for i in (0, 2)))


def test_a_wheel_may_carry_the_site(tmp_path: Path) -> None:
    """What `make docs` has built, where `noisette course` looks for it; it is not in a wheel without NOISETTE_DOCS."""
    (tmp_path / "docs" / "course").mkdir(parents=True)
    for name in ("course.html", "course/01.html"):
        (tmp_path / "docs" / name).write_text(name)
    wheel = build_wheel(tmp_path / "carries", NOISETTE_DOCS=str(tmp_path / "docs"), NOISETTE_BUILD_KERNELS="0")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site-packages")
    place = tmp_path / "site-packages" / notebooks.RENDERED[0].relative_to(ROOT / "src")
    assert (place / "course" / "01.html").read_text() == "course/01.html"
    plain = build_wheel(tmp_path / "plain", NOISETTE_DOCS="", NOISETTE_BUILD_KERNELS="0")
    assert not [name for name in zipfile.ZipFile(plain).namelist() if name.endswith(".html") and "course" in name]


def test_the_kernels_of_the_wheel(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path / "wheel")
    assert re.search(r"-py3-none-manylinux_2_\d+_x86_64\.whl$", wheel.name)
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"noisette/nn/kernels/compiled/kernels-{name}.so" for name in VARIANTS} <= names

    # a new environment that sees this one's packages, but the wheel's noisette first
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    packages = [p for p in sys.path if p.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(packages))
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)

    (tmp_path / "empty").mkdir()
    bare = {"PATH": str(tmp_path / "empty"), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    python = str(environment / "bin" / "python")
    done = subprocess.run([python, "-c", ANSWERS, "wheel.pt"], cwd=tmp_path, env=bare, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert str(site) in done.stdout and "from the wheel, for processors with " in done.stdout
    assert not (tmp_path / "cache").exists()

    here = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", ANSWERS, "here.pt"], cwd=tmp_path, env=here, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0 and "compiled for this processor" in done.stdout, done.stderr
    torch = pytest.importorskip("torch")
    for a, b in zip(torch.load(tmp_path / "wheel.pt"), torch.load(tmp_path / "here.pt"), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * b.abs().max().item())
