"""Import and export of the formats of other projects. The names below are imported on first use."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .base import ConversionOverrides, ConvertedModel
    from .convert import ConversionReport, build_model, convert_model, convert_source, read_autoencoder
    from .diffusers_export import DiffusersFolder, to_diffusers, write_diffusers
    from .onnx import OnnxReport, export_onnx
    from .sheet_formats import encode_sheet, write_sheet
    from .sheet_layout import Sheet, SheetLayout, SheetPicture, pack_sheet, read_sheet_pictures
    from .tileset_formats import encode_tileset, write_tileset
    from .web_page import WebReport, export_page

__all__ = [
    "ConversionOverrides",
    "ConversionReport",
    "ConvertedModel",
    "DiffusersFolder",
    "OnnxReport",
    "Sheet",
    "SheetLayout",
    "SheetPicture",
    "WebReport",
    "build_model",
    "convert_model",
    "convert_source",
    "encode_sheet",
    "encode_tileset",
    "export_onnx",
    "export_page",
    "pack_sheet",
    "read_autoencoder",
    "read_sheet_pictures",
    "to_diffusers",
    "write_diffusers",
    "write_sheet",
    "write_tileset",
]
HOMES = {
    "base": ("ConversionOverrides", "ConvertedModel"),
    "convert": ("ConversionReport", "build_model", "convert_model", "convert_source", "read_autoencoder"),
    "diffusers_export": ("DiffusersFolder", "to_diffusers", "write_diffusers"),
    "onnx": ("OnnxReport", "export_onnx"),
    "sheet_formats": ("encode_sheet", "write_sheet"),
    "sheet_layout": ("Sheet", "SheetLayout", "SheetPicture", "pack_sheet", "read_sheet_pictures"),
    "tileset_formats": ("encode_tileset", "write_tileset"),
    "web_page": ("WebReport", "export_page"),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, HOMES)
