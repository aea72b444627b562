"""A page opened from disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def opened(
    browser: Any, file: Path, width: int = 1440, scheme: str = "light"
) -> Iterator[tuple[Any, list[str], list[str]]]:
    """The page, the requests that it made, and its error messages."""
    shots = os.environ.get("NOISETTE_SHOTS")  # a folder for screenshots, outside of the repository
    requests: list[str] = []
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(file.resolve().as_uri())
    yield page, requests, wrong
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(shots) / f"{file.stem}-{width}-{scheme}.png", full_page=True)
    context.close()
