"""What of the packages is in the pool: which sets, which pictures of them, under which license and caption."""

import colorsys
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packages import ARCADE, ICONIFY, OPENCLIPART, SILK, TANGO, Package


@dataclass(frozen=True)
class Picture:
    """A picture of a package, not rendered yet."""

    package: str  # with its version
    set: str
    name: str  # unique within its set
    license: str  # SPDX
    author: str
    caption: str
    category: str
    data: str | bytes  # SVG text, or a file of pixels
    glyph: bool = False  # drawn in one color: told apart by shape alone, and tinted

    @property
    def file(self) -> str:
        """Name of its file in the pool."""
        return f"{self.set}.{re.sub(r'[^A-Za-z0-9_-]+', '_', self.name)}.png"


# Multi-colored sets of iconify. Left out: ShareAlike and NonCommercial sets (openmoji, emojione-v1, …), brand logos and
# programming sets (logos, devicon, vscode-icons, token sets, …), and Twemoji, which is a built-in set.
COLORED_SETS = (
    "noto", "fluent-emoji-flat", "emojione", "fxemoji", "noto-v1", "streamline-emojis",
    "fluent-color", "flat-color-icons", "flat-ui", "icon-park", "marketeq", "glyphs-poly", "meteocons", "duo-icons",
    "streamline-color", "streamline-cyber-color", "streamline-flex-color", "streamline-freehand-color",
    "streamline-kameleon-color", "streamline-plump-color", "streamline-sharp-color", "streamline-stickies-color",
    "streamline-ultimate-color", "circle-flags", "flag", "flagpack", "cif",
)  # fmt: skip

# Sets in one color, which get one; mostly filled shapes, and those that were drawn for few pixels.
GLYPH_SETS = (
    "game-icons", "streamline-pixel", "pixelarticons", "pixel", "memory", "dinkie-icons", "healthicons", "pinhead",
    "temaki", "maki", "roentgen", "solar", "ph", "streamline-block", "covid", "fa7-solid",
)  # fmt: skip

# Of sets that have each picture in several styles: the filled ones.
STYLES = {"solar": r"-bold-duotone$", "ph": r"-(fill|duotone)$", "healthicons": r"(?<!-negative)(?<!-outline)$"}

LICENSES = {"MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-3.0", "CC0-1.0", "ISC", "BSD-3-Clause", "Unlicense"}

SKIN_TONE = re.compile(r"-(medium-light|medium-dark|medium|light|dark)(-skin-tone)?(?=-|$)")
BRAND = re.compile(r"logo|brand|github|gitlab|google|facebook|twitter|youtube|apple-music|android|windows|spotify")
BRAND_WORDS = {
    "adobe", "airbnb", "alipay", "amazon", "behance", "bitcoin", "bluetooth", "chrome", "debian", "discord", "docker",
    "dribbble", "dropbox", "ethereum", "figma", "firefox", "gmail", "gnome", "gnu", "instagram", "java", "javascript",
    "js", "kde", "lego", "linkedin", "linux", "mastercard", "messenger", "microsoft", "mozilla", "netflix", "nintendo",
    "notion", "openai", "opera", "paypal", "photoshop", "pinterest", "playstation", "qq", "react", "reddit", "skype",
    "slack", "snapchat", "soundcloud", "steam", "stripe", "taobao", "telegram", "tesla", "tiktok", "trello", "tumblr",
    "twitch", "uber", "vimeo", "visa", "vk", "wechat", "weibo", "whatsapp", "wikipedia", "wordpress", "xbox", "yahoo",
}  # fmt: skip
SETS_WITHOUT_BRANDS = {
    "silk", "tango", "noto", "noto-v1", "fluent-emoji-flat", "emojione", "fxemoji", "streamline-emojis", "game-icons",
    "pinhead", "temaki", "maki", "roentgen", "flag", "cif", "circle-flags", "flagpack",
}  # fmt: skip

TOPICS_OF_ARCADE = (
    "images/alien", "images/animated_characters", "images/cards", "images/enemies", "images/items",
    "images/space_shooter", "images/tiles", "images/topdown_tanks", "onscreen_controls", "input_prompt",
)  # fmt: skip


def list_pictures(folders: dict[Package, Path]) -> Iterator[Picture]:
    """All pictures, best sets first: of near duplicates the first is kept."""
    yield from _silk(folders[SILK])
    yield from _arcade(folders[ARCADE])
    yield from _tango(folders[TANGO])
    for name in COLORED_SETS:
        yield from _iconify(folders[ICONIFY], name, glyph=False)
    yield from _openclipart(folders[OPENCLIPART])
    for name in GLYPH_SETS:
        yield from _iconify(folders[ICONIFY], name, glyph=True)


def is_brand(picture: Picture) -> bool:
    """Whether a picture of a general set shows a brand, by its name."""
    if picture.set in SETS_WITHOUT_BRANDS:
        return False
    words = re.split(r"[^a-z0-9]+", picture.name.split("/")[-1].lower())
    if words[0] == "apple" and set(words[1:]) <= {"1", "solid", "flat", "filled", "small"}:
        return True
    return not BRAND_WORDS.isdisjoint(words)


def _iconify(folder: Path, name: str, glyph: bool) -> Iterator[Picture]:
    data = json.loads((folder / "package/json" / f"{name}.json").read_text("utf8"))
    info, icons = data["info"], data["icons"]
    license_name = info["license"]["spdx"]
    assert license_name in LICENSES, f"{name}: {license_name}"
    categories = {icon: category for category, names in data.get("categories", {}).items() for icon in names}
    style = re.compile(STYLES.get(name, ""))
    for key, icon in icons.items():
        category = categories.get(key, "")
        if icon.get("hidden") or BRAND.search(key) or BRAND.search(category.lower()) or not style.search(key):
            continue
        if _is_skin_tone(key, icons):
            continue
        width, height = (icon.get(side, data.get(side, 16)) for side in ("width", "height"))
        left, top = icon.get("left", data.get("left", 0)), icon.get("top", data.get("top", 0))
        tint = _tint(key) if glyph else "#444"
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{left} {top} {width} {height}" color="{tint}">{icon["body"]}</svg>'
        )
        yield Picture(
            f"{ICONIFY.name} {ICONIFY.version}", name, key, license_name,
            f"{info['author']['name']}, {info['name']}, {info['author'].get('url', '')}",
            _words(style.sub("", key)), category, svg, glyph,
        )  # fmt: skip


def _is_skin_tone(key: str, icons: dict[str, object]) -> bool:
    """Whether a picture is the variant of another in a skin tone."""
    if "skin-tone" in key:
        return True
    plain = SKIN_TONE.sub("", key)
    return plain != key and plain in icons


def _tint(name: str) -> str:
    """A color that depends on the name: any hue, mostly saturated, neither white nor black."""
    hue, saturation, value = (byte / 255 for byte in hashlib.sha256(name.encode()).digest()[:3])
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.15 + 0.8 * saturation, 0.25 + 0.7 * value)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def _files(package: Package, root: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """The files below a folder that are no links, with their path without its ending."""
    for path in sorted(root.rglob(pattern)):
        if path.is_file() and not path.is_symlink():
            yield path, str(path.relative_to(root).with_suffix(""))


def _silk(folder: Path) -> Iterator[Picture]:
    for path, name in _files(SILK, folder / "usr/share/icons/silk/16x16", "*.png"):
        yield Picture(
            f"{SILK.name} {SILK.version}", "silk", name, "CC-BY-3.0",
            "Mark James, Silk icons", _words(name), "", path.read_bytes(),
        )  # fmt: skip


def _arcade(folder: Path) -> Iterator[Picture]:
    for path, name in _files(ARCADE, folder / "arcade/resources/assets", "*.png"):
        if name.startswith(TOPICS_OF_ARCADE):
            yield Picture(
                f"{ARCADE.name} {ARCADE.version}", "arcade", name.removeprefix("images/"), "CC0-1.0", "Kenney",
                _words(re.sub(r"([a-z])([A-Z])", r"\1 \2", path.stem)), path.parent.name, path.read_bytes(),
            )  # fmt: skip


def _tango(folder: Path) -> Iterator[Picture]:
    root = folder / "usr/share/icons/Tango"
    for size, pattern in (("scalable", "*.svg"), ("16x16", "*.png"), ("32x32", "*.png")):
        for path, name in _files(TANGO, root / size, pattern):
            if "animations" not in name:
                data = path.read_text("utf8") if pattern == "*.svg" else path.read_bytes()
                yield Picture(
                    f"{TANGO.name} {TANGO.version}", "tango", f"{size}/{name}", "LicenseRef-public-domain",
                    "Tango Desktop Project", _words(path.stem), path.parent.name, data,
                )  # fmt: skip


def _openclipart(folder: Path) -> Iterator[Picture]:
    for path, name in _files(OPENCLIPART, folder / "usr/share/openclipart/svg", "*.svg"):
        if "logo" in name.lower():
            continue
        text = path.read_text("utf8", errors="replace")
        title = re.search(r"<dc:title>\s*([^<]{3,80}?)\s*</dc:title>", text)
        yield Picture(
            f"{OPENCLIPART.name} {OPENCLIPART.version}", "openclipart", name, "LicenseRef-public-domain",
            "Open Clip Art Library", _words(title[1] if title else path.stem), name.split("/")[0], text,
        )  # fmt: skip


def _words(name: str) -> str:
    """A file name as a caption: words in lower case, without running numbers."""
    words = re.sub(r"[^\w']+|_", " ", name.lower()).split()
    kept = [word for word in words if not re.fullmatch(r"0*\d{1,3}", word)] or words
    return " ".join(kept)
