"""What a request may ask of the application: its route, and its body.

Gradio has many routes, of which the page uses few; some fetch addresses or open files. Only those in ROUTES are passed
on. Each body is decoded here, checked as a whole, and encoded anew, so that the application sees what was checked: a
path in it is that of an upload, or the request is refused; an address in it is removed. This holds for every endpoint.
"""

import json
import re
from collections.abc import Container
from typing import Any

from ..errors import InputError
from .upload_store import UploadStore

API = "/gradio_api"
NAME = r"[\w-]+"
ROUTES = {
    "GET": re.compile(
        rf"/|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/(?:assets|static|svelte)/[\w./@-]+"
        rf"|{API}/(?:info/?|app_id/?|theme\.css|startup-events|queue/data|queue/status|upload_progress)"
        rf"|{API}/heartbeat/{NAME}|{API}/call/{NAME}/{NAME}|{API}/file=.+"
    ),
    "POST": re.compile(rf"{API}/(?:queue/join|cancel|reset/?|upload|run/{NAME}/?|call/{NAME}/?)"),
}
UPLOAD_ROUTE, DIRECT_ROUTE = f"{API}/upload", f"{API}/run/"
MAX_JSON_BYTES = 2**25  # of a body that is no upload; it may hold a picture in base64
BODY_FIELDS = {"data", "event_data", "fn_index", "trigger_id", "session_hash", "event_id", "simple_format"}
MAX_DEPTH = 32


def is_allowed_route(method: str, path: str) -> bool:
    """Whether the page or a client of the API needs this route."""
    routes = ROUTES.get("GET" if method == "HEAD" else method)
    return routes is not None and routes.fullmatch(path) is not None and ".." not in path.split("/")


def check_body(body: bytes, uploads: UploadStore, functions: Container[int] = ()) -> bytes:
    """The same body as JSON without fields and addresses that the studio does not use.

    InputError for other bodies, for numbers that are not finite, for deep nesting, for paths that are no uploads, and
    for numbers of functions that are not among `functions`.
    """
    value = parse_object(body)
    function = value.get("fn_index")
    if function is not None and (type(function) is not int or function not in functions):
        raise InputError("the studio has no such function: reload the page")
    return encode_object({name: _check(part, uploads, 0) for name, part in value.items() if name in BODY_FIELDS})


def parse_object(body: bytes) -> dict[str, Any]:
    """A body as a JSON object. InputError for other bodies."""
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError("a request must be JSON with finite numbers") from error
    if not isinstance(value, dict):
        raise InputError("a request must be a JSON object")
    return value


def encode_object(value: dict[str, Any]) -> bytes:
    """The object as JSON. InputError for numbers that are not finite, and for invalid Unicode."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:  # 1e999, which is infinite, and half of a surrogate pair
        raise InputError("a request must have finite numbers and valid Unicode") from error


def _check(value: Any, uploads: UploadStore, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise InputError(f"a request may be nested {MAX_DEPTH} levels deep")
    if isinstance(value, list):
        return [_check(item, uploads, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("path") is not None and not uploads.is_upload(value["path"]):
        raise InputError("this file is not an upload of this studio, or was removed after an hour: upload it again")
    return {name: _check(item, uploads, depth + 1) for name, item in value.items() if name != "url"}


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
