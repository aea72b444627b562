"""Access control of the studio: checks of each request before the application sees it.

Other web pages can make a browser send requests to loopback, and DNS names can be rebound to it. So the Host header has
to be an IP address, localhost or the name of this machine, and the Origin header, if present, must equal the Host.
Browsers send no Origin for a picture or script of another page, but say in Sec-Fetch-Site where a request comes from.
Other users of this machine can reach loopback, too: a token keeps them out. The response headers forbid the browser to
load anything from elsewhere.
"""

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Container, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from .ending import ENDING

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE_NAME, TOKEN_PARAMETER = "noisette", "token"  # the name of the cookie ends with the port: noisette-7860
MAX_REQUEST_BYTES = 2**28  # including uploads
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


@dataclass(frozen=True)
class Refusals:
    """What the client of a server is told to do."""

    host: str
    token: str


STUDIO_REFUSALS = Refusals(
    "this host name is not allowed: open the address that noisette studio printed",
    "the studio requires its token: open the address that noisette studio printed",
)


class RequestTooLarge(Exception):
    """The body of a request is larger than allowed."""


class AccessGuard:
    """ASGI middleware that checks Host, Origin, size and token of requests.

    `token`: None if none is required. `host_name`: a further name allowed as Host. `refusals`: what is answered without
    a token, and for other host names. `public_paths`: those that need no token.
    """

    def __init__(
        self, app: App, token: str | None = None, host_name: str = "localhost", max_bytes: int = MAX_REQUEST_BYTES,
        refusals: Refusals = STUDIO_REFUSALS, public_paths: Container[str] = (),
    ) -> None:  # fmt: skip
        self.app, self.token, self.host_name, self.max_bytes = app, token, host_name.lower(), max_bytes
        self.refusals, self.public_paths = refusals, public_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if scope["type"] == "websocket":  # the studio has none
            await send({"type": "websocket.close", "code": 1008})
            return
        rejection = self.find_rejection(scope, headers)
        if rejection is not None:
            await send_response(send, *rejection)
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        is_public = self.token is None or scope["path"] in self.public_paths
        if not is_public and (TOKEN_PARAMETER in query or not self.has_token(headers)):
            await self.exchange_token(scope, headers, query, send)
            return
        try:
            await self.app(scope, self.limit_body(receive), add_security_headers(send))
        except asyncio.CancelledError:  # a stream that was open when the studio was ended
            if not ENDING.is_set():
                raise
        except RequestTooLarge:
            await send_response(send, 413, f"a request may have at most {self.max_bytes // 2**20} MB")

    def find_rejection(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """HTTP status and message for a request that is rejected; None if it is accepted."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not is_allowed_host(host, self.host_name):
            return 421, self.refusals.host
        if origin is not None and read_netloc(origin) != host.lower():
            return 403, "requests from other sites are not allowed"
        if origin is None and is_from_other_site(scope, headers):
            return 403, "requests from other sites are not allowed"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.max_bytes:
            return 413, f"a request may have at most {self.max_bytes // 2**20} MB"
        return None

    def has_token(self, headers: dict[str, str]) -> bool:
        """Whether the request has the token, in its cookie or as a bearer token."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(cookie_name(headers))
        except CookieError:
            cookie = None
        candidates = [headers.get("authorization", "").removeprefix("Bearer "), "" if cookie is None else cookie.value]
        return any(hmac.compare_digest(c.encode(), str(self.token).encode()) for c in candidates)

    async def exchange_token(self, scope: Scope, headers: dict[str, str], query: dict[str, str], send: Send) -> None:
        """Move the token from the address to a cookie by a redirect; without a valid token, answer 401."""
        if not hmac.compare_digest(query.pop(TOKEN_PARAMETER, "").encode(), str(self.token).encode()):
            await send_response(send, 401, self.refusals.token, ((b"www-authenticate", b"Bearer"),))
            return
        query_text = f"?{urlencode(query)}" if query else ""
        cookie = f"{cookie_name(headers)}={self.token}; Path=/; HttpOnly; SameSite=Lax"
        target = "/" + scope["path"].lstrip("/")  # a path, never another host
        await send_response(
            send, 303, "", ((b"location", f"{target}{query_text}".encode()), (b"set-cookie", cookie.encode()))
        )

    def limit_body(self, receive: Receive) -> Receive:
        """`receive` with a check of the number of bytes, for requests without a length."""
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.max_bytes:
                raise RequestTooLarge
            return message

        return counted


def cookie_name(headers: dict[str, str]) -> str:
    """The name of the cookie: browsers send a host's cookies to all its ports, and two studios have two tokens."""
    try:
        port = urlsplit(f"//{headers.get('host', '')}").port
    except ValueError:
        port = None
    return f"{COOKIE_NAME}-{port or 80}"


def read_netloc(address: str) -> str | None:
    """The host and port of an address; None if it is no address."""
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return None


def is_from_other_site(scope: Scope, headers: dict[str, str]) -> bool:
    """Whether a browser says that another site's page caused a request. A link to the studio itself may be followed."""
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):  # programs do not send it
        return False
    opens_page = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return not (opens_page and scope["method"] == "GET" and scope["path"] == "/")


def is_allowed_host(host: str, host_name: str = "localhost") -> bool:
    """Whether a Host header is an IP address, localhost, the name of this machine, or `host_name`."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:  # of brackets without a partner
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("localhost", host_name, socket.gethostname().lower())
    return True


def add_security_headers(send: Send) -> Send:
    """`send` with SECURITY_HEADERS added to each response."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
        await send(message)

    return with_headers


async def send_response(send: Send, status: int, body_text: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """Send a plain text response."""
    body = body_text.encode()
    all_headers = (
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    )
    await add_security_headers(send)({"type": "http.response.start", "status": status, "headers": list(all_headers)})
    await send({"type": "http.response.body", "body": body})
