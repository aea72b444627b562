"""A stand-in for Aseprite: its calls that the script uses, on arrays. The script, Lua, curl and the studio are real."""

# ruff: noqa: N815 (names are those of the editor)

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lupa.lua54
import numpy as np
from PIL import Image as PillowImage

from studio.editor_stubs import Array, Result, box_of, paste

RGB, GRAY, INDEXED = 0, 1, 2  # color modes


class AsepriteImage:
    """Pixels as Aseprite's whole numbers: RGBA in 32 bits, gray and alpha in 16, or an index."""

    def __init__(self, width: Any, height: int = 0, mode: int = RGB) -> None:
        if lupa.lua54.lua_type(width) == "table":
            picture = PillowImage.open(width["fromFile"])
            self.colorMode = GRAY if picture.mode in ("L", "LA") else RGB
            wanted = np.array(picture.convert("LA" if self.colorMode == GRAY else "RGBA")).astype(np.int64)
            self.values = sum(wanted[..., i] << 8 * i for i in range(wanted.shape[2]))
        else:
            self.colorMode, self.values = mode, np.zeros((height, width), np.int64)
        self.height, self.width = self.values.shape

    def getPixel(self, x: int, y: int) -> int:
        assert 0 <= x < self.width and 0 <= y < self.height
        return int(self.values[y, x])

    def drawPixel(self, x: int, y: int, value: int) -> None:
        assert 0 <= x < self.width and 0 <= y < self.height and isinstance(value, int)
        self.values[y, x] = value

    def clear(self, value: int) -> None:
        self.values[:] = value

    def drawSprite(self, sprite: "Sprite", frame: int, position: Any) -> None:
        assert frame == 1 and self.colorMode == RGB
        pixels = paste(self.height, self.width, position.x, position.y, sprite.pixels).astype(np.int64)
        self.values = sum(pixels[..., i] << 8 * i for i in range(4))

    def saveAs(self, path: str) -> None:
        assert self.colorMode == RGB
        pixels = np.stack([self.values >> 8 * i & 255 for i in range(4)], axis=-1).astype(np.uint8)
        PillowImage.fromarray(pixels).save(path)


PALETTE = """
function(size, get)
  local palette = { getColor = function(self, index) return get(index) end }
  return setmetatable(palette, { __len = function() return size end })
end
"""  # lupa gives Lua no length of a Python object


def get_color(palette: list[tuple[int, int, int]], index: int) -> Any:
    """A color of an indexed sprite."""
    red, green, blue = palette[index]
    return SimpleNamespace(red=red, green=green, blue=blue, alpha=255)


@dataclass
class Sprite:
    """A sprite of one frame. `pixels` are what is visible, RGBA."""

    pixels: Array
    mask: Array | None
    colorMode: int
    palettes: Any
    transparentColor: int = 0
    cels: list[Any] = field(default_factory=list)

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def bounds(self) -> Any:
        return SimpleNamespace(x=0, y=0, width=self.width, height=self.height)

    @property
    def selection(self) -> Any:
        x, y, width, height = (0, 0, 0, 0) if self.mask is None else box_of(self.mask)
        bounds = SimpleNamespace(x=x, y=y, width=width, height=height)
        return SimpleNamespace(isEmpty=self.mask is None, bounds=bounds, contains=self._contains)

    def _contains(self, selection: Any, x: int, y: int) -> bool:
        assert self.mask is not None
        return 0 <= x < self.width and 0 <= y < self.height and bool(self.mask[y, x])

    def newLayer(self) -> Any:
        return SimpleNamespace(name="")

    def newCel(self, layer: Any, frame: int, image: AsepriteImage, position: Any) -> None:
        assert frame == 1 and image.colorMode == self.colorMode
        self.cels.append((layer, image, position))


class Dialog:
    """A dialog whose fields the user sets to `hands`."""

    def __init__(self, hands: Mapping[str, Any]) -> None:
        self.hands, self.data, self.kinds = hands, {}, set()

    def add(self, options: Any) -> None:
        given = dict(options)
        default = given.get("value", given.get("option", given.get("text")))
        value = self.hands.get(given["id"], default)
        if "options" in given:
            assert value in list(given["options"].values()), value
        self.data[given["id"]] = value

    entry = combobox = slider = number = button = add

    def show(self) -> None:
        self.data["ok"] = True


class Pipe:
    """Lua's io.popen for writing, which lupa's Lua lacks. `secret` must be in no command and no file of `folder`."""

    def __init__(self, command: str, mode: str, folder: Path, secret: str) -> None:
        assert command == "curl --config -" and mode == "w"
        assert secret and not any(secret.encode() in path.read_bytes() for path in folder.iterdir())
        self.process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE)

    def write(self, *texts: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(texts).encode())

    def close(self) -> bool | None:
        self.process.communicate()
        return True if self.process.returncode == 0 else None


class Aseprite:
    """Runs the Lua script. `folder`: Aseprite's own; `has_remove`: whether its Lua has os.remove."""

    def __init__(self, script: Path, folder: Path, has_remove: bool = True) -> None:
        self.script, self.folder, self.has_remove = script, folder, has_remove

    def run(
        self, pixels: Array | None, mask: Array | None, hands: Mapping[str, Any], mode: int = RGB,
        palette: list[tuple[int, int, int]] | None = None,
    ) -> Result:  # fmt: skip
        lua = lupa.lua54.LuaRuntime(unpack_returned_tuples=True)
        result, names = Result(), lua.globals()
        sprite = None
        if pixels is not None:
            colors = palette or []
            made = lua.eval(PALETTE)(len(colors), lambda index: get_color(colors, index))
            sprite = Sprite(pixels, mask, mode, lua.table_from([made]))

        def to_lua(value: Any) -> Any:
            if isinstance(value, dict):
                return lua.table_from({key: to_lua(one) for key, one in value.items()})
            return lua.table_from([to_lua(one) for one in value]) if isinstance(value, list) else value

        def transaction(work: Any) -> None:
            work()

        def alert(options: Any) -> None:
            result.problem = options["text"]

        names.app = SimpleNamespace(
            sprite=sprite, frame=SimpleNamespace(frameNumber=1), transaction=transaction, alert=alert,
            refresh=lambda: None,
            fs=SimpleNamespace(
                userConfigPath=str(self.folder), joinPath=lambda a, b: str(Path(a, b)),
                isFile=lambda path: Path(path).is_file(),
            ),
            pixelColor=SimpleNamespace(
                rgba=lambda r, g, b, a: r | g << 8 | b << 16 | a << 24, rgbaR=lambda v: v & 255,
                rgbaG=lambda v: v >> 8 & 255, rgbaB=lambda v: v >> 16 & 255, rgbaA=lambda v: v >> 24 & 255,
                graya=lambda v, a: v | a << 8, grayaV=lambda v: v & 255, grayaA=lambda v: v >> 8 & 255,
            ),
        )  # fmt: skip
        names.json = lua.table_from({"decode": lambda text: to_lua(json.loads(text))})
        names.ColorMode = lua.table_from({"RGB": RGB, "GRAY": GRAY, "INDEXED": INDEXED})
        names.Image, names.Dialog = AsepriteImage, lambda title: Dialog(hands)
        names.Point = lambda x, y: SimpleNamespace(x=x, y=y)
        names.Rectangle = lambda x, y, w, h: SimpleNamespace(x=x, y=y, width=w, height=h)
        secret = str(hands.get("address", "")).partition("token=")[2]
        names.io.popen = lambda command, mode: Pipe(command, mode, self.folder, secret)
        if not self.has_remove:
            lua.execute("os.remove = nil")
        lua.execute(self.script.read_text("utf-8"))
        for layer, image, position in [] if sprite is None else sprite.cels:
            canvas = paste(sprite.height, sprite.width, position.x, position.y, image.values)  # type: ignore[union-attr]
            result.layers[layer.name] = _to_rgba(canvas, mode)
        return result


def _to_rgba(values: Array, mode: int) -> Array:
    """Aseprite's pixel values as RGBA; of an indexed image, the values themselves."""
    if mode == INDEXED:
        return values
    shifts = (0, 8, 16, 24) if mode == RGB else (0, 0, 0, 8)
    return np.stack([values >> shift & 255 for shift in shifts], axis=-1).astype(np.uint8)
