"""The OpenAPI document of the server, made of the signatures of its endpoints."""

from collections.abc import Sequence
from typing import Any

from ..io.version import __version__
from ..mcp_server.schema import make_schema
from .endpoints import ENDPOINTS

ERRORS = {
    400: "The request cannot be drawn; the error says what would be right.",
    401: "The token is missing or wrong.",
    413: "The request has too many bytes.",
    429: "Too many requests wait; the header Retry-After says how many seconds to wait.",
    500: "A defect of the server.",
    503: "The server has too little memory, or lost the process that drew this.",
    504: "The answer took too long.",
}
SEED = {"type": "integer", "minimum": 0}
TEXT_OR_NULL = {"type": ["string", "null"]}
SCHEMAS: dict[str, Any] = {
    "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
    "Pictures": {
        "type": "object",
        "required": ["model", "pictures"],
        "properties": {
            "model": {"type": "string", "description": "Hash of the model that drew them."},
            "pictures": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["seed", "label", "text", "png"],
                    "properties": {
                        "seed": SEED,
                        "label": TEXT_OR_NULL,
                        "text": TEXT_OR_NULL,
                        "png": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
                    },
                },
            },
        },
    },
}


def make_document(models: Sequence[str]) -> dict[str, Any]:
    """The document, OpenAPI 3.1, of a server of these models."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "noisette serve", "version": __version__},
        "paths": {f"/v1/{name}": {"post": _drawing(name, models)} for name in ENDPOINTS}
        | {
            "/v1/models": {"get": _reading("List the models: size, labels, and what each can do.", "application/json")},
            "/health": {"get": _reading("Whether the server can draw.", "application/json") | {"security": []}},
            "/metrics": {"get": _reading("Metrics for Prometheus.", "text/plain")},
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _drawing(name: str, models: Sequence[str]) -> dict[str, Any]:
    schema = make_schema(ENDPOINTS[name])
    schema["properties"]["model"]["enum"] = [*models, None]
    pictures = {
        "application/json": {"schema": _refer("Pictures")},
        "image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}},
    }
    errors = {
        str(status): {"description": text} | _content("application/json", _refer("Error"))
        for status, text in ERRORS.items()
    }
    return {
        "operationId": name,
        "summary": " ".join(str(ENDPOINTS[name].__doc__).split()),
        "requestBody": {"required": True} | _content("application/json", schema),
        "responses": {
            "200": {"description": "The pictures. With Accept: image/png, one picture as a file.", "content": pictures}
        }
        | errors,
    }


def _reading(summary: str, media_type: str) -> dict[str, Any]:
    answer = {"description": summary} | _content(media_type, {})
    return {"summary": summary, "responses": {"200": answer}}


def _refer(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {media_type: {"schema": schema}}}
