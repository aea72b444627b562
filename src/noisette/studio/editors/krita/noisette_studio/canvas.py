"""The part of a Krita document that a model sees: around the selection, or the canvas; and new layers for results."""

from .client import FILL, StudioError

try:
    from PyQt5.QtCore import QBuffer, QIODevice
    from PyQt5.QtGui import QImage
except ImportError:  # Krita 6
    from PyQt6.QtCore import QBuffer, QIODevice
    from PyQt6.QtGui import QImage

BYTES = 4  # of a pixel: blue, green, red, alpha


class Canvas:
    """A window of the model's size on a document, inside the canvas where that is larger."""

    def __init__(self, document, width, height):
        if (document.colorModel(), document.colorDepth()) != ("RGBA", "U8"):
            raise StudioError(
                "the picture must be RGB/Alpha with 8 bits a channel: choose Image > Convert Image Color Space"
            )
        self.document, self.width, self.height = document, width, height
        self.selection = document.selection()
        left, top, across, down = self._box()
        if across > width or down > height:
            kind = "canvas" if self.selection is None else "selection"
            raise StudioError(
                f"the {kind} has {across}×{down} pixels, and the model draws {width}×{height}: select at most that"
            )
        self.x = _place(left, across, width, document.width())
        self.y = _place(top, down, height, document.height())
        self.pixels = self._read_pixels()
        self.rows = self._mark_rows()

    def encode(self):
        """What is visible in the window, as a PNG file."""
        image = QImage(self.pixels, self.width, self.height, self.width * BYTES, QImage.Format.Format_ARGB32)
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        image.save(buffer, "PNG")
        return bytes(buffer.data())

    def _mark_rows(self):
        """A text for each row: 1 for the pixels that are selected; without a selection, for the transparent ones."""
        if self.selection is None:
            marks = [alpha == 0 for alpha in self.pixels[BYTES - 1 :: BYTES]]
        else:
            selected = bytes(self.selection.pixelData(self.x, self.y, self.width, self.height))
            marks = [value >= 128 for value in selected]
        rows = [marks[i : i + self.width] for i in range(0, len(marks), self.width)]
        return ["".join("1" if mark else "0" for mark in row) for row in rows]

    def add_layer(self, png, name, action):
        """Put a picture on a new layer: only what is selected, or was filled in."""
        image = QImage.fromData(png, "PNG").convertToFormat(QImage.Format.Format_ARGB32)
        bits = image.constBits()
        bits.setsize(self.width * self.height * BYTES)
        pixels = bytearray(bytes(bits))
        if action == FILL or self.selection is not None:
            for i, mark in enumerate("".join(self.rows)):
                if mark == "0":
                    pixels[i * BYTES : (i + 1) * BYTES] = bytes(BYTES)
        layer = self.document.createNode(name, "paintlayer")
        layer.setPixelData(bytes(pixels), self.x, self.y, self.width, self.height)
        self.document.rootNode().addChildNode(layer, None)

    def _read_pixels(self):
        """The window's pixels, row by row; transparent outside of the canvas."""
        left, top = max(self.x, 0), max(self.y, 0)
        across = min(self.x + self.width, self.document.width()) - left
        down = min(self.y + self.height, self.document.height()) - top
        inside = bytes(self.document.pixelData(left, top, across, down))
        pixels = bytearray(self.width * self.height * BYTES)
        for row in range(down):
            at = ((top - self.y + row) * self.width + left - self.x) * BYTES
            pixels[at : at + across * BYTES] = inside[row * across * BYTES : (row + 1) * across * BYTES]
        return bytes(pixels)

    def _box(self):
        """Left, top, width and height of the selection, or of the canvas."""
        if self.selection is None:
            return 0, 0, self.document.width(), self.document.height()
        return self.selection.x(), self.selection.y(), self.selection.width(), self.selection.height()


def _place(start, length, size, canvas):
    """Where a window of `size` begins, around a part of the canvas, along one axis."""
    begin = start + (length - size) // 2
    return max(0, min(begin, canvas - size)) if canvas >= size else begin
