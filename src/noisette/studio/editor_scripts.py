"""Scripts with which Aseprite and Krita use a running studio. They ship with the package, in editors/."""

from pathlib import Path

from ..io.files import atomic_write
from ..io.zip_writer import zip_files

FOLDER = Path(__file__).parent / "editors"
ASEPRITE_NAME, KRITA_NAME = "noisette.lua", "noisette-krita.zip"


def encode_editor_scripts() -> dict[str, bytes]:
    """The files by name: a Lua script for Aseprite, and a zip that Krita imports as a Python plugin."""
    krita = FOLDER / "krita"
    plugin = sorted(path for path in krita.rglob("*") if path.suffix in (".py", ".html", ".desktop"))
    return {
        ASEPRITE_NAME: (FOLDER / "aseprite" / ASEPRITE_NAME).read_bytes(),
        KRITA_NAME: zip_files({path.relative_to(krita).as_posix(): path.read_bytes() for path in plugin}),
    }


def write_editor_scripts(folder: str | Path) -> list[Path]:
    """Write the files of `encode_editor_scripts` into a folder; returns their paths."""
    paths = []
    for name, content in encode_editor_scripts().items():
        paths.append(Path(folder) / name)
        atomic_write(paths[-1], content)
    return paths
