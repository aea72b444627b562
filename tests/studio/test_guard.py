"""The guard, in front of an application that answers everything."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from noisette.studio.guard import POLICY, Guard


async def everything(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


def ask(guard: Guard, query: str = "", path: str = "/", bodies: tuple[bytes, ...] = (b"",), **headers: str) -> Any:
    """The status and the headers of the answer."""
    sent: list[Any] = []
    given = {"host": "127.0.0.1:7860"} | {k.replace("_", "-"): v for k, v in headers.items()}
    scope = {
        "type": "http", "path": path, "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in given.items()],
    }  # fmt: skip
    parts = [{"type": "http.request", "body": b, "more_body": i < len(bodies) - 1} for i, b in enumerate(bodies)]

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    with ThreadPoolExecutor(1) as alone:  # a browser of other tests may have its loop in this thread
        alone.submit(asyncio.run, guard(scope, receive, send)).result()
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "192.168.1.5:80"])
def test_addresses_are_answered(host: str) -> None:
    assert ask(Guard(everything), host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example", ""])
def test_names_that_others_can_point_here_are_not(host: str) -> None:
    assert ask(Guard(everything), host=host)[0] == 421


def test_a_name_that_was_given_is_answered() -> None:
    assert ask(Guard(everything, "x", "Studio.Example"), host="studio.example:80", authorization="Bearer x")[0] == 200


def test_other_sites_are_refused() -> None:
    guard = Guard(everything)
    assert ask(guard, origin="http://127.0.0.1:7860")[0] == 200
    for origin in ("http://evil.example", "http://127.0.0.1:9999", "null"):
        assert ask(guard, origin=origin)[0] == 403


def test_the_browser_may_fetch_from_nowhere_else() -> None:
    assert ask(Guard(everything))[1]["content-security-policy"] == POLICY
    assert "http" not in POLICY and "*" not in POLICY


def test_too_much_is_refused_whether_its_length_is_said_or_not() -> None:
    guard = Guard(everything, largest=10)
    assert ask(guard, content_length="11")[0] == 413
    assert ask(guard, content_length="x")[0] == 413
    assert ask(guard, bodies=(b"12345", b"678901"))[0] == 413
    assert ask(guard, bodies=(b"12345", b"67890"))[0] == 200


def test_the_token_goes_from_the_address_into_a_cookie() -> None:
    guard = Guard(everything, token="right")
    assert ask(guard)[0] == 401
    assert ask(guard, query="token=wrong")[0] == 401
    status, headers = ask(guard, query="token=right&a=b", path="//evil.example")
    assert status == 303 and headers["location"] == "/evil.example?a=b"
    assert "HttpOnly" in headers["set-cookie"] and "SameSite" in headers["set-cookie"]
    assert ask(guard, cookie=headers["set-cookie"].split(";")[0])[0] == 200
    assert ask(guard, cookie="noisette=wrong")[0] == 401
    assert ask(guard, authorization="Bearer right")[0] == 200
    assert ask(guard, authorization="Bearer ")[0] == 401
