"""Stand-ins for Aseprite and Krita: their calls that the scripts use, on arrays.

The scripts themselves are the real ones, and so are the studio, curl and Lua.
"""

# ruff: noqa: N815 (names are those of the editors)

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import lupa.lua54
import numpy as np
from PIL import Image as PillowImage

Array = np.ndarray
RGB, GRAY, INDEXED = 0, 1, 2  # Aseprite's color modes


@dataclass
class Result:
    """What a run of a script did: layers by name, (H, W, 4) of the whole canvas; and what it complained about."""

    layers: dict[str, Array] = field(default_factory=dict)
    problem: str | None = None


def paste(height: int, width: int, x: int, y: int, pixels: Array) -> Array:
    """A canvas with pixels at a place, cut at its edges."""
    canvas = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
    h, w = pixels.shape[:2]
    top, left, down, right = max(y, 0), max(x, 0), min(y + h, height), min(x + w, width)
    canvas[top:down, left:right] = pixels[top - y : down - y, left - x : right - x]
    return canvas


def box_of(mask: Array) -> tuple[int, int, int, int]:
    """x, y, width and height of the marked pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0].item(), rows[0].item(), np.ptp(columns).item() + 1, np.ptp(rows).item() + 1


# ── Aseprite ──────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── Krita ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Node:
    """A paint layer: bytes of blue, green, red and alpha at a place."""

    def __init__(self, name: str) -> None:
        self.name = name

    def setPixelData(self, data: bytes, x: int, y: int, width: int, height: int) -> None:
        pixels = np.frombuffer(data, np.uint8).reshape(height, width, 4)
        self.x, self.y, self.pixels = x, y, pixels[..., [2, 1, 0, 3]]


class Document:
    """A document with what is visible, and new layers."""

    def __init__(self, pixels: Array, mask: Array | None, depth: str = "U8") -> None:
        self.pixels, self.mask, self.depth, self.nodes = pixels, mask, depth, list[Node]()

    def colorModel(self) -> str:
        return "RGBA"

    def colorDepth(self) -> str:
        return self.depth

    def width(self) -> int:
        return int(self.pixels.shape[1])

    def height(self) -> int:
        return int(self.pixels.shape[0])

    def pixelData(self, x: int, y: int, width: int, height: int) -> bytes:
        assert x >= 0 and y >= 0 and x + width <= self.width() and y + height <= self.height()
        return self.pixels[y : y + height, x : x + width, [2, 1, 0, 3]].tobytes()

    def selection(self) -> Any:
        if self.mask is None:
            return None
        x, y, width, height = box_of(self.mask)

        def read(left: int, top: int, across: int, down: int) -> bytes:
            assert self.mask is not None
            return paste(down, across, -left, -top, self.mask * np.uint8(255)).tobytes()

        return SimpleNamespace(x=lambda: x, y=lambda: y, width=lambda: width, height=lambda: height, pixelData=read)

    def createNode(self, name: str, kind: str) -> Node:
        assert kind == "paintlayer"
        return Node(name)

    def rootNode(self) -> Any:
        return SimpleNamespace(addChildNode=lambda node, above: self.nodes.append(node))

    def refreshProjection(self) -> None:
        pass


class QImage:
    """Qt's image in Format_ARGB32: blue, green, red, alpha in memory."""

    Format = SimpleNamespace(Format_ARGB32=5)

    def __init__(self, data: bytes, width: int, height: int, stride: int, kind: int) -> None:
        assert stride == 4 * width and kind == 5
        self.data, self.size = data, (height, width)

    @classmethod
    def fromData(cls, data: bytes, kind: str) -> "QImage":
        pixels = np.array(PillowImage.open(io.BytesIO(data)).convert("RGBA"))
        height, width = pixels.shape[:2]
        return cls(pixels[..., [2, 1, 0, 3]].tobytes(), width, height, 4 * width, 5)

    def convertToFormat(self, kind: int) -> "QImage":
        return self

    def constBits(self) -> Any:
        class Bits(bytes):
            def setsize(self, size: int) -> None:
                assert size == len(self)

        return Bits(self.data)

    def save(self, buffer: Any, kind: str) -> None:
        pixels = np.frombuffer(self.data, np.uint8).reshape(*self.size, 4)
        PillowImage.fromarray(np.ascontiguousarray(pixels[..., [2, 1, 0, 3]])).save(buffer.stream, kind)


class QBuffer:
    """Qt's buffer."""

    def open(self, mode: object) -> None:
        self.stream = io.BytesIO()

    def data(self) -> bytes:
        return self.stream.getvalue()


def make_qt(hands: Mapping[str, Any], problems: list[str]) -> ModuleType:
    """PyQt5 with what the plugin uses; the user sets the fields of a form to `hands`."""

    class Field:
        def __init__(self, value: Any = None) -> None:
            self.value_, self.items = value, list[str]()

        def set(self, value: Any) -> None:
            assert not self.items or value in self.items, value
            self.value_ = value

        setCurrentText = setValue = set

        def get(self) -> Any:
            return self.value_

        text = currentText = value = get

        def addItems(self, items: list[str]) -> None:
            self.items, self.value_ = list(items), items[0]

        def setRange(self, least: int, most: int) -> None:
            assert least < most

    class Form:
        def __init__(self, dialog: object) -> None:
            pass

        def addRow(self, name: Any, one: Any = None) -> None:
            if isinstance(name, str) and name in hands:
                one.set(hands[name])

    signal = SimpleNamespace(connect=lambda slot: None)
    buttons = SimpleNamespace(accepted=signal, rejected=signal)

    class Buttons:
        StandardButton = SimpleNamespace(Ok=1, Cancel=2)

        def __new__(cls, kinds: int) -> Any:
            return buttons

    class Line(Field):
        EchoMode = SimpleNamespace(Normal=0)

    dialog = SimpleNamespace(setWindowTitle=lambda title: None, accept=None, reject=None, exec=lambda: 1)
    widgets: Any = ModuleType("PyQt5.QtWidgets")
    widgets.QInputDialog = SimpleNamespace(getText=lambda *_: (hands["address"], True))
    widgets.QDialog, widgets.QFormLayout, widgets.QDialogButtonBox = lambda: dialog, Form, Buttons
    widgets.QLineEdit, widgets.QComboBox, widgets.QSpinBox = Line, Field, Field
    widgets.QMessageBox = SimpleNamespace(warning=lambda parent, title, message: problems.append(message))
    core: Any = ModuleType("PyQt5.QtCore")
    core.QBuffer, core.QIODevice = QBuffer, SimpleNamespace(OpenModeFlag=SimpleNamespace(WriteOnly=2))
    gui: Any = ModuleType("PyQt5.QtGui")
    gui.QImage = QImage
    package: Any = ModuleType("PyQt5")
    package.QtWidgets, package.QtCore, package.QtGui = widgets, core, gui
    return package


class KritaEditor:
    """Runs the Python plugin. `folder`: where its zip was unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, pixels: Array | None, mask: Array | None, hands: Mapping[str, Any], depth: str = "U8") -> Result:
        document = None if pixels is None else Document(pixels, mask, depth)
        problems: list[str] = []
        extensions: list[Any] = []
        krita: Any = ModuleType("krita")
        application = SimpleNamespace(activeDocument=lambda: document, addExtension=extensions.append)
        krita.Krita, krita.Extension = SimpleNamespace(instance=lambda: application), _Extension
        qt: Any = make_qt(hands, problems)
        modules = {"krita": krita, "PyQt5": qt} | {
            f"PyQt5.{name}": getattr(qt, name) for name in ("QtWidgets", "QtCore", "QtGui")
        }
        before = dict(sys.modules)
        sys.path.insert(0, str(self.folder))
        try:
            sys.modules.update(modules)
            importlib.import_module("noisette_studio")
            (extension,) = extensions
            clicks: list[Any] = []
            action = SimpleNamespace(triggered=SimpleNamespace(connect=clicks.append))
            extension.setup()
            extension.createActions(SimpleNamespace(createAction=lambda name, text, menu: action))
            clicks[0]()
        finally:
            sys.path.remove(str(self.folder))
            for name in [name for name in sys.modules if name not in before or name.startswith("noisette_studio")]:
                del sys.modules[name]
        layers = {}
        for node in [] if document is None else document.nodes:
            layers[node.name] = paste(document.height(), document.width(), node.x, node.y, node.pixels)  # type: ignore[union-attr]
        return Result(layers, problems[0] if problems else None)


class _Extension:
    def __init__(self, parent: object) -> None:
        pass
