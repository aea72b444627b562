"""The documentation site: built without warnings, without the chapters' execution; every link; Chromium; search.

Chapters are executed by tests/course. One file, so that one process builds the site.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer
from sphinx.util.inventory import InventoryFile

import noisette
from noisette.cli import app as program
from noisette.course import list_chapters

ROOT = Path(__file__).parents[2]
MEGABYTE = 2**20
CHAPTER = f"course/{list_chapters()[0].path.stem}.html"
LOOKED_AT = ("index.html", "howto/keep-my-palette.html", CHAPTER, "reference/commands/train.html",
             "reference/api/noisette.nn.html")  # fmt: skip
SCREENS = [(width, scheme) for width in (380, 1440) for scheme in ("light", "dark")]
FACES = ("cli", "mcp_server", "studio")  # programs, not for import


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning is an error."""
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-D", "nb_execution_mode=off", "-d",
             str(out / "doctrees"), "-b", "html", str(ROOT / "docs"), str(out / "html")]  # fmt: skip
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "NOISETTE_COURSE_SIZE": "small", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out / "html"


class Tags(HTMLParser):
    """The addresses of a page by kind, and the anchors in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []  # that a reader follows
        self.loaded: list[str] = []  # that a browser fetches by itself
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if "href" in given:
            (self.links if tag == "a" else self.loaded).append(given["href"])
        self.loaded += [given[name] for name in ("src", "srcset", "data", "poster") if name in given and tag != "a"]

    handle_startendtag = handle_starttag


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Tags]:
    return {path: Tags(path) for path in sorted(site.rglob("*.html"))}


def is_external(address: str) -> bool:
    return bool(urlsplit(address).scheme or urlsplit(address).netloc)


def test_every_internal_link_and_anchor_is_there(site: Path, pages: dict[Path, Tags]) -> None:
    wrong, checked = [], 0
    for path, tags in pages.items():
        for address in (*tags.links, *tags.loaded):
            parts = urlsplit(address)
            if is_external(address):
                continue
            checked += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else set()
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors | {"top"}):
                wrong.append(f"{path.relative_to(site)}: {address}")
    assert not wrong and checked > 5000


def test_nothing_is_loaded_from_other_hosts(site: Path, pages: dict[Path, Tags]) -> None:
    assert [a for tags in pages.values() for a in tags.loaded if is_external(a) and not a.startswith("data:")] == []
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", text), style
    scripts = {Path(a.split("?")[0]).name for tags in pages.values() for a in tags.loaded if ".js" in a}
    assert scripts and not [name for name in scripts if re.search(r"mathjax|katex|require", name, re.I)]


def test_the_site_is_small(site: Path) -> None:
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 30 * MEGABYTE


def test_the_six_parts_and_the_way_to_the_log(site: Path) -> None:
    """docs/log.md is linked from pages that cite it, and does not stand in the navigation."""
    front = (site / "index.html").read_text(encoding="utf-8")
    parts = re.findall(r'<span class="caption-text">([^<]*)</span>', front)
    assert parts == ["Start", "How-to", "Course", "Explanation", "Reference", "Figures"]
    assert (site / "log.html").is_file() and 'href="log.html' not in front
    assert 'href="log.html' in (site / "figures.html").read_text(encoding="utf-8")


def public_names() -> set[str]:
    packages = sorted(path.parent.name for path in (ROOT / "src/noisette").glob("*/__init__.py"))
    modules = [noisette, *(import_module(f"noisette.{name}") for name in packages if name not in FACES)]
    return {f"{module.__name__}.{name}" for module in modules for name in getattr(module, "__all__", ())}


def command_options() -> set[str]:
    """ "noisette edit vary.--strength" for every option of every command."""

    def walk(command: Any, name: str) -> Iterator[str]:
        for child in getattr(command, "commands", {}).items():
            yield from walk(child[1], f"{name} {child[0]}")
        for parameter in command.params:
            yield from (f"{name}.{o}" for o in (*parameter.opts, *parameter.secondary_opts) if o.startswith("-"))

    return set(walk(typer.main.get_command(program.app), "noisette"))


def test_the_inventory_has_every_public_name_and_every_option(site: Path) -> None:
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    python = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    assert len(public_names()) > 450 and public_names() - python == set()
    listed = {name.replace(" ", "-") for name in inventory["std:cmdoption"]}
    wanted = {name.replace(" ", "-") for name in command_options()}
    assert len(wanted) > 300 and wanted - listed == set()
    assert "x0" in inventory["std:term"] and "U-Net" in inventory["std:term"]


def test_docstrings_are_rendered(site: Path) -> None:
    """Shapes, arguments and errors of one function, as people read them."""
    text = (site / "reference/api/noisette.html").read_text(encoding="utf-8")
    plain = re.sub(r"<[^>]+>", "", text)
    assert "guidance_rescale: 0 to 1" in plain and "Raises InputError" in plain
    assert re.search(r"<li><p><strong>model, guide_with, classifier, upscalers</strong>", text)
    assert "<strong>source</strong>" in text and "system-message" not in text


@contextmanager
def opened(browser: Any, page: Path, width: int, scheme: str) -> Iterator[tuple[Any, list[str], list[str]]]:
    """The page from disk, the addresses that it requested, and its errors."""
    requests: list[str] = []
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    tab = context.new_page()
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(page.as_uri())
    yield tab, requests, wrong
    if shots := os.environ.get("NOISETTE_SHOTS"):
        tab.screenshot(path=Path(shots) / f"site-{page.stem}-{width}-{scheme}.png")
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_page_is_accessible(browser: Any, site: Path, name: str) -> None:
    """axe finds nothing, nothing is wider than the screen, nothing is requested but files of the site."""
    from axe_playwright_python.sync_playwright import Axe

    for width, scheme in SCREENS:
        with opened(browser, site / name, width, scheme) as (tab, requests, wrong):
            found = Axe().run(tab).response["violations"]
            assert [(v["id"], v["nodes"][0]["html"]) for v in found] == [], (width, scheme)
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, scheme)
            assert wrong == [] and all(a.startswith(("data:", site.as_uri())) for a in requests)


@pytest.mark.slow
def test_the_first_page_is_light(browser: Any, site: Path) -> None:
    with opened(browser, site / "index.html", 1440, "light") as (tab, requests, _):
        tab.wait_for_load_state("load")
        files = {Path(unquote(urlsplit(a).path)) for a in requests if a.startswith("file:")}
        assert len(files) > 5 and sum(path.stat().st_size for path in files) < MEGABYTE


@pytest.mark.slow
def test_search_finds_a_word_offline(browser: Any, site: Path) -> None:
    """A word of one page; and one that most pages have, of which docs/log.md is not listed."""
    for word, expected in (("dithering", "palettes.html"), ("KID", "evaluation.html")):
        with opened(browser, site / "index.html", 1440, "light") as (tab, requests, wrong):
            tab.locator("input[name=q]").first.fill(word)
            tab.keyboard.press("Enter")
            tab.wait_for_selector(f"ul.search li a[href^='{expected}']", timeout=20_000)  # results come one by one
            tab.wait_for_function("document.querySelector('.search-summary')?.innerText.includes('found')")
            found = tab.eval_on_selector_all("ul.search li a", "all => all.map(a => a.getAttribute('href'))")
            assert not any(address.startswith("log.html") for address in found)
            assert wrong == [] and all(a.startswith(("data:", site.as_uri())) for a in requests)
