"""The API of `noisette studio`, by HTTP to the address that it printed."""

import base64
import json
import urllib.error
import urllib.request
from collections import namedtuple
from urllib.parse import parse_qs, urlsplit

DRAW, VARY, FILL = "draw new pictures", "vary", "fill in the selection"
TIMEOUT = 600  # seconds that one request may take

Options = namedtuple("Options", "model action label strength number seed")  # strength: 0 to 1


class StudioError(Exception):
    """A problem, in one sentence for the user."""


class Studio:
    """A running studio. `address` includes its token."""

    def __init__(self, address):
        parts = urlsplit(address.strip())
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise StudioError(
                "this is no address: copy the one that noisette studio printed, such as http://127.0.0.1:7860/?token=…"
            )
        self.base = f"{parts.scheme}://{parts.netloc}/gradio_api/call/"
        token = parse_qs(parts.query).get("token")
        self.headers = {"Content-Type": "application/json"}
        if token:
            self.headers["Authorization"] = f"Bearer {token[0]}"
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # straight to this machine

    def call(self, name, arguments):
        """The result of a function of the API. Raises StudioError with the studio's own words where it refuses."""
        answer = self._request(name, json.dumps({"data": arguments}).encode())
        try:
            event = json.loads(answer)["event_id"]
        except (ValueError, KeyError, TypeError):
            raise StudioError("the studio gave an answer that is none: is the address right?") from None
        kind = None
        for line in self._request(f"{name}/{event}").decode("utf-8").splitlines():
            if line.startswith("event: "):
                kind = line[len("event: ") :]
            elif line.startswith("data: ") and kind == "complete":
                return json.loads(line[len("data: ") :])[0]
            elif line.startswith("data: ") and kind == "error":
                reason = json.loads(line[len("data: ") :])
                raise StudioError(reason["error"] if isinstance(reason, dict) else "the studio could not do this")
        raise StudioError("the studio was closed before it was done")

    def draw(self, canvas, options, takes_text):
        """The bytes of the pictures, as PNG files."""
        text = options.label if takes_text and options.label else None
        label = None if takes_text else options.label or None
        seed, number = options.seed, options.number
        if options.action == DRAW:
            labels = None if label is None else [label]
            arguments = [options.model, labels, seed, number, None, None, None, None, None, None, text]
            results = self.call("draw", arguments)
        elif options.action == VARY:
            picture = base64.b64encode(canvas.encode()).decode("ascii")
            arguments = [options.model, picture, options.strength, label, seed, number, None, None, text]
            results = self.call("vary", arguments)
        else:
            picture, rows = base64.b64encode(canvas.encode()).decode("ascii"), canvas.rows
            if not any("1" in row for row in rows):
                raise StudioError("there is nothing to fill in: select the pixels to draw, or leave some transparent")
            results = self.call("inpaint", [options.model, picture, rows, label, seed, number, 5, None, None, text])
        return [base64.b64decode(result["png"]) for result in results]

    def _request(self, path, body=None):
        request = urllib.request.Request(self.base + path, body, self.headers)
        try:
            with self.opener.open(request, timeout=TIMEOUT) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise StudioError(error.read().decode("utf-8", "replace")[:300]) from None
        except OSError:
            raise StudioError(
                "the studio does not answer: start noisette studio, and give the address that it prints"
            ) from None
