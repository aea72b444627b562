"""The access guard, in front of an application that answers every request with 200."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from noisette.studio.guard import CONTENT_SECURITY_POLICY, AccessGuard


async def everything(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


def get(
    guard: AccessGuard, query: str = "", path: str = "/", bodies: tuple[bytes, ...] = (b"",), **headers: str
) -> Any:
    """Send a request; the status and the headers of the response."""
    sent: list[Any] = []
    given = {"host": "127.0.0.1:7860"} | {k.replace("_", "-"): v for k, v in headers.items()}
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": query.encode(),
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
def test_ip_addresses_and_localhost_are_accepted_as_host(host: str) -> None:
    assert get(AccessGuard(everything), host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "]"]
)
def test_other_host_names_are_refused(host: str) -> None:
    assert get(AccessGuard(everything), host=host)[0] == 421


def test_the_configured_host_name_is_accepted() -> None:
    assert (
        get(AccessGuard(everything, "x", "Studio.Example"), host="studio.example:80", authorization="Bearer x")[0]
        == 200
    )


def test_other_origins_are_refused() -> None:
    guard = AccessGuard(everything)
    assert get(guard, origin="http://127.0.0.1:7860")[0] == 200
    for origin in ("http://evil.example", "http://127.0.0.1:9999", "null"):
        assert get(guard, origin=origin)[0] == 403


def test_subresource_requests_of_other_sites_are_refused() -> None:
    """A browser sends no Origin for them. A link to the page may be followed, and programs send neither header."""
    guard = AccessGuard(everything)
    picture = {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}
    link = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    for site in ("cross-site", "same-site"):  # another port of the same host is the same site
        assert get(guard, path="/gradio_api/file=x", sec_fetch_site=site, **picture)[0] == 403
        assert get(guard, sec_fetch_site=site, **picture)[0] == 403
        assert get(guard, path="/gradio_api/file=x", sec_fetch_site=site, **link)[0] == 403
        assert get(guard, sec_fetch_site=site, **link)[0] == 200
        assert get(guard, sec_fetch_site=site, sec_fetch_mode="navigate", sec_fetch_dest="iframe")[0] == 403
    for site in ("same-origin", "none"):
        assert get(guard, path="/config", sec_fetch_site=site, **picture)[0] == 200


def test_two_studios_on_one_host_have_separate_cookies() -> None:
    guard = AccessGuard(everything, token="right")
    assert get(guard, host="localhost:1234", query="token=right")[1]["set-cookie"].startswith("noisette-1234=right;")
    assert get(guard, host="localhost:1234", cookie="noisette-7860=wrong; noisette-1234=right")[0] == 200
    assert (
        get(guard, host="localhost:1234", cookie="noisette-1234=right", query="token=right")[0] == 303
    )  # the token is removed from the address


def test_answers_have_the_content_security_policy() -> None:
    assert get(AccessGuard(everything))[1]["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY and "*" not in CONTENT_SECURITY_POLICY


def test_too_large_body_is_refused_with_or_without_content_length() -> None:
    guard = AccessGuard(everything, max_bytes=10)
    assert get(guard, content_length="11")[0] == 413
    assert get(guard, content_length="x")[0] == 413
    assert get(guard, bodies=(b"12345", b"678901"))[0] == 413
    assert get(guard, bodies=(b"12345", b"67890"))[0] == 200


def test_token_in_the_address_is_moved_to_a_cookie() -> None:
    guard = AccessGuard(everything, token="right")
    assert get(guard)[0] == 401
    assert get(guard, query="token=wrong")[0] == 401
    status, headers = get(guard, query="token=right&a=b", path="//evil.example")
    assert status == 303 and headers["location"] == "/evil.example?a=b"
    assert "HttpOnly" in headers["set-cookie"] and "SameSite" in headers["set-cookie"]
    assert get(guard, cookie=headers["set-cookie"].split(";")[0])[0] == 200
    assert get(guard, cookie="noisette-7860=wrong")[0] == 401
    assert get(guard, authorization="Bearer right")[0] == 200
    assert get(guard, authorization="Bearer ")[0] == 401
