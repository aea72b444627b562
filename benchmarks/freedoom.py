"""The sprites of Freedoom as a folder of PNGs with an alpha channel: a set that no base has seen.

    apt-get install freedoom; pip install omgifol
    python benchmarks/freedoom.py FOLDER [--wad /usr/share/games/doom/freedoom2.wad] [--size 32]

Each sprite is padded to a square and averaged to SIZE × SIZE; smaller ones are centered as they are. Freedoom is under
the BSD-3-Clause license.
"""

import argparse
from pathlib import Path

from omg import WAD
from PIL import Image

WAD_FILE = Path("/usr/share/games/doom/freedoom2.wad")


def to_square(picture: Image.Image, size: int) -> Image.Image:
    """The picture in the middle of size × size pixels, made smaller if it is larger."""
    side = max(size, *picture.size)
    square = Image.new("RGBA", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    # "RGBa" is premultiplied, so clear pixels add no color
    return square.convert("RGBa").resize((size, size), Image.Resampling.BOX).convert("RGBA")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the sprites of Freedoom as PNGs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wad", type=Path, default=WAD_FILE)
    parser.add_argument("--size", type=int, default=32)
    args = parser.parse_args()
    args.folder.mkdir(parents=True)
    sprites = WAD(str(args.wad)).sprites
    for name in sorted(sprites):
        to_square(sprites[name].to_Image("RGBA"), args.size).save(args.folder / f"{name.lower()}.png")
    print(f"{len(sprites)} sprites in {args.folder}")


if __name__ == "__main__":
    main()
