"""Models that come with the package: a folder each, beside this file, opened by its name."""

from pathlib import Path

ROOT = Path(__file__).parent


AUTOENCODERS = ("art-f4",)  # of latent models; the other folders are models that draw


def list_names() -> tuple[str, ...]:
    """Of the models that come with the package and draw."""
    return tuple(name for name in _list_all() if name not in AUTOENCODERS)


def list_autoencoders() -> tuple[str, ...]:
    """Of the autoencoders that come with the package."""
    return tuple(name for name in _list_all() if name in AUTOENCODERS)


def list_folders() -> dict[str, Path]:
    """The folders of the models that draw, by name."""
    return {name: ROOT / name for name in list_names()}


def find_folder(name: str) -> Path | None:
    """The folder of a model or an autoencoder that comes with the package; None if there is none of this name."""
    return ROOT / name if name in _list_all() else None


def _list_all() -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in ROOT.glob("*/model.safetensors")))


# What `noisette train` starts from without `--from`: the models of this table that are in the package.
BASES: dict[int, str] = {16: "base-16", 32: "base-32"}  # longer side of the pictures, in pixels → name
MIN_SIDE = 12  # shorter side, in pixels: networks for smaller pictures have fewer levels than a base
MAX_RATIO = 1.5  # longer side of the pictures over that of the largest base, up to which it was found to help


def find_base(height: int, width: int) -> str | None:
    """The base for pictures of this size: the smallest that is not smaller, or the largest; None: there is none."""
    if min(height, width) < MIN_SIDE:
        return None
    side, bases = max(height, width), sorted(side for side, name in BASES.items() if name in list_names())
    fitting = [base for base in bases if base >= side] or [base for base in bases[-1:] if side <= MAX_RATIO * base]
    return BASES[fitting[0]] if fitting else None
