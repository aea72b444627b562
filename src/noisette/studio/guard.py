"""Who may talk to the studio: looked at before anything else sees a request.

A page elsewhere can make a browser send requests to loopback, and a name elsewhere can be pointed at it. So the Host
must be an address, this machine's name or localhost, and an Origin, where there is one, the Host itself. What is sent
back forbids the browser to fetch anything from anywhere else.
"""

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE, PARAMETER = "noisette", "token"
LARGEST = 2**28  # bytes of a request, uploads included
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class TooLarge(Exception):
    """A request sends more than is taken."""


class Guard:
    """An ASGI application in front of another. `token`: None where only this machine can reach it; `name`: what else
    it is called than by its address."""

    def __init__(self, app: App, token: str | None = None, name: str = "localhost", largest: int = LARGEST) -> None:
        self.app, self.token, self.name, self.largest = app, token, name.lower(), largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if scope["type"] == "websocket":  # there is none here
            await send({"type": "websocket.close", "code": 1008})
            return
        refused = self.refused(headers)
        if refused is not None:
            await answer(send, *refused)
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if self.token is not None and not self.known(headers):
            await self.admit(scope, query, send)
            return
        try:
            await self.app(scope, self.limited(receive), guarded(send))
        except TooLarge:
            await answer(send, 413, f"a request may have {self.largest // 2**20} MB at most")

    def refused(self, headers: dict[str, str]) -> tuple[int, str] | None:
        """Why a request is not looked at, with its status."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not local(host, self.name):
            return 421, "this studio does not answer to that name: open the address that noisette studio printed"
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "that request comes from another site"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.largest:
            return 413, f"a request may have {self.largest // 2**20} MB at most"
        return None

    def known(self, headers: dict[str, str]) -> bool:
        """Whether it carries the token: in its cookie, or as a bearer's."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        given = [headers.get("authorization", "").removeprefix("Bearer "), "" if cookie is None else cookie.value]
        return any(hmac.compare_digest(g.encode(), str(self.token).encode()) for g in given)

    async def admit(self, scope: Scope, query: dict[str, str], send: Send) -> None:
        """Take the token out of the address into a cookie; without it, say what is missing."""
        if not hmac.compare_digest(query.pop(PARAMETER, "").encode(), str(self.token).encode()):
            await answer(send, 401, "this studio asks for its token: open the address that noisette studio printed")
            return
        rest = f"?{urlencode(query)}" if query else ""
        cookie = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Lax"
        target = "/" + scope["path"].lstrip("/")  # never another host's
        await answer(send, 303, "", ((b"location", f"{target}{rest}".encode()), (b"set-cookie", cookie.encode())))

    def limited(self, receive: Receive) -> Receive:
        """What is sent without saying its length is counted."""
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.largest:
                raise TooLarge
            return message

        return counted


def local(host: str, given: str = "localhost") -> bool:
    """Whether a Host is an address, localhost, this machine or the given name: none that others can point here."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("localhost", given, socket.gethostname().lower())
    return True


def guarded(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await send(message)

    return with_headers


async def answer(send: Send, status: int, words: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    body = words.encode()
    text = ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *headers)
    await guarded(send)({"type": "http.response.start", "status": status, "headers": list(text)})
    await send({"type": "http.response.body", "body": body})
