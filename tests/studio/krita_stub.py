"""A stand-in for Krita and Qt: their calls that the plugin uses, on arrays. The plugin and the studio are real."""

# ruff: noqa: N815 (names are those of the editor)

import importlib
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from studio.editor_stubs import Array, Result, box_of, paste


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
