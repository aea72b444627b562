"""A page that draws by itself: the model, ONNX Runtime Web and the sampler in one HTML file, or in a folder for a site.

The page makes no request: everything is in it, and its content security policy forbids connections. It opens from
disk. In a folder the large parts are files of their own, which the page loads from its own server.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..data.origin_mark import xmp_packet
from ..errors import InputError
from ..io.files import atomic_folder, atomic_write
from ..io.version import __version__
from ..models.picture_model import PictureModel
from ..report.card import find_run
from ..report.viz.page import COLOR_STYLE
from .onnx import require_packages
from .web_model import WebModel, to_web
from .web_runtime import WebRuntime, find_runtime
from .web_weights import CLOSE_BITS, HALF_BITS, PLANES, KidCost, measure_kid_cost, pack

SOURCES = Path(__file__).with_name("web")  # the page's own HTML, CSS and JavaScript
PAGE_SCRIPTS = ("unpack.js", "png.js", "page.js")
WORKER_SCRIPTS = ("unpack.js", "random.js", "sampler.js", "worker.js")
TABLE_KEYS = ("inputs", "alpha_snap", "guidance", "history_size", "initial_scale", "steps")  # that the page uses
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class WebReport:
    """The result of an export."""

    bytes: int  # of all that was written
    max_error: float  # largest difference of outputs between ONNX Runtime and PyTorch, before weights were rounded
    kid: KidCost | None  # None: not measured, since half precision was not asked for
    notes: tuple[str, ...]  # what was changed, a sentence each


@dataclass(frozen=True)
class Part:
    """A large part of the page, a gzip file. planes: into which its bytes are sorted, see `web_weights.pack`."""

    name: str  # by which page.js asks for it
    file: str  # its name in a folder
    data: bytes
    planes: int = 1

    def render(self, embed: bool) -> str:
        """The element that holds it, or that names its file."""
        attributes = f'id="{self.name}" type="application/gzip" data-planes="{self.planes}"'
        if embed:
            return f"<script {attributes}>{base64.b64encode(self.data).decode()}</script>"
        return f'<script {attributes} data-file="{self.file}"></script>'


def export_page(
    model: PictureModel,
    target: Path,
    *,
    folder: bool = False,
    steps: int | None = None,
    half: bool = False,
    runtime: Path | None = None,
) -> WebReport:
    """Write the page of a model to the new file `target`; or index.html and its parts into the new or empty folder
    `target`.

    steps: sampling steps, by default the model's own. half: weights in half precision, if that costs less than 5 % of
    the KID. runtime: folder of the npm package onnxruntime-web, see `find_runtime`.

    Raises InputError if the target exists, if onnxruntime-web or `noisette[onnx]` is not installed, and for networks
    that take text or an input picture. Nothing is written then.
    """
    if not folder and target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"a page's name must end in .html, got {target}")
    if not folder and target.exists():
        raise InputError(f"{target} exists already: give a new name")
    if folder and target.is_dir() and any(target.iterdir()):
        raise InputError(f"{target} is not empty: give a new or an empty folder")
    require_packages()
    engine, kid = find_runtime(runtime), measure_kid_cost(model) if half else None
    bits = HALF_BITS if kid is not None and kid.is_small else CLOSE_BITS
    web = to_web(model, steps, bits)
    parts = make_runtime_parts(engine), make_model_parts(web)
    document = render_page(model, web, engine.version, bits, parts, embed=not folder)
    files = [part for group in parts for part in group] if folder else []
    if folder:
        with atomic_folder(target, required_bytes=sum(len(part.data) for part in files)) as new:
            for part in files:
                (new / part.file).write_bytes(part.data)
            (new / "index.html").write_bytes(document)
    else:
        atomic_write(target, document)
    notes = web.notes
    if kid is not None and not kid.is_small:
        notes = (*notes, f"not in half precision, which costs too much: KID × 10³ {kid.half:.1f} after {kid.full:.1f}")
    return WebReport(len(document) + sum(len(part.data) for part in files), web.max_error, kid, notes)


def make_runtime_parts(runtime: WebRuntime) -> list[Part]:
    """The code of the worker."""
    own = "\n".join(map(_read_source, WORKER_SCRIPTS)).encode()
    return [
        Part(name, file, gzip.compress(data, mtime=0))
        for name, file, data in (
            ("runtime-code", "onnxruntime-web.js.gz", runtime.code),
            ("worker-code", "worker.js.gz", own),
            ("glue", "onnxruntime-web-wasm.js.gz", runtime.glue),
            ("runtime", "onnxruntime-web.wasm.gz", runtime.wasm),
        )
    ]


def make_model_parts(web: WebModel) -> list[Part]:
    """The networks."""
    files = {"network": web.network} | ({} if web.prior is None else {"prior": web.prior})
    return [Part(name, f"{name}.onnx.gz", pack(data), PLANES) for name, data in files.items()]


def render_page(
    model: PictureModel,
    web: WebModel,
    runtime_version: str,
    bits: int,
    parts: tuple[Sequence[Part], Sequence[Part]],
    *,
    embed: bool,
) -> bytes:
    """The HTML document, UTF-8. parts: of the runtime and of the model; embed: they are in the document; otherwise it
    loads them from their files."""
    script = "\n".join(map(_read_source, PAGE_SCRIPTS))
    runtime_parts, model_parts = ("\n".join(part.render(embed) for part in group) for group in parts)
    style = COLOR_STYLE + _read_source("page.css")
    policy = {
        "default-src": "'none'",
        "script-src": f"{_hash_source(script)} 'wasm-unsafe-eval' blob:",  # blob: the worker, made of what is here
        "worker-src": "blob:",
        "style-src": _hash_source(style),
        "img-src": "data:",
        "connect-src": "'none'" if embed else "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    pictures = model.pictures
    shown = {key: web.table[key] for key in TABLE_KEYS}
    data = {"table": shown, "record": web.record, "labels": pictures.labels, "mode": pictures.mode}
    values = {
        "policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "generator": f"noisette {__version__}",
        "title": escape(_name_model(model)),
        "style": style,
        "size": f"{pictures.width}×{pictures.height} pixels",
        "controls": _render_controls(model, web.table),
        "steps": str(len(web.table["steps"])),
        "hash": escape(model.hash[:12]),
        "weights": "half precision" if bits == HALF_BITS else f"{bits + 8} bits",
        "runtime_version": escape(runtime_version),
        "notice": escape(_read_source("onnxruntime-license.txt")),
        "model": _encode_json(data | {"xmp": xmp_packet("generated")}),
        "runtime_parts": runtime_parts,  # before the script, which starts the runtime; what follows is read meanwhile
        "model_parts": model_parts,
        "script": script,
    }
    return PLACEHOLDER.sub(lambda match: values[match[1]], _read_source("page.html")).encode()


def _render_controls(model: PictureModel, table: Mapping[str, Any]) -> str:
    """The fields for a label and a guidance, if the model has them."""
    labels = model.pictures.labels
    if not labels:
        return ""
    options = [(len(labels), "all in turn"), *enumerate(labels)]
    field = '<label>Guidance <input id="guidance" type="number" min="0" max="20" step="any" value="{}"></label>'
    guidance = ""
    if table["has_null_class"]:
        options.append((-1, "no label"))
        guidance = field.format(f"{table['guidance']:g}")
    listed = "".join(f'<option value="{number}">{escape(name)}</option>' for number, name in options)
    return f'<label>Label <select id="label">{listed}</select></label>{guidance}'


def _name_model(model: PictureModel) -> str:
    """The name of the run, or of the folder of a model."""
    if model.folder is None:
        return "noisette"
    folder = model.folder.resolve()
    return (find_run(folder) or folder).name


def _encode_json(value: object) -> str:
    """JSON that an HTML parser takes for text inside of a script element, whatever is in it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _hash_source(text: str) -> str:
    """The source expression of a content security policy for an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read_source(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")
