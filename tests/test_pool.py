"""The tool that builds the pool of pictures for base models: what it keeps. Nothing is downloaded here."""

import sys
from pathlib import Path

import numpy as np
import pytest

from noisette.data.near_duplicates import group_near_duplicates
from noisette.data.thumbnails import make_thumbnail

TOOL = Path(__file__).parent.parent / "tools" / "pool"
if not TOOL.is_dir():
    pytest.skip("the tool comes with the repository alone", allow_module_level=True)
sys.path.insert(0, str(TOOL))

from near import keep_distinct  # noqa: E402
from pictures import COLORED_SETS, GLYPH_SETS, Picture, _words, is_brand  # noqa: E402


def picture(set_name: str, name: str) -> Picture:
    return Picture("package 1", set_name, name, "MIT", "", "", "", "")


def test_of_near_duplicates_the_first_is_kept() -> None:
    """By the criterion of the data set's scan; and nothing that is near to one of those that stay always."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 256, (6, 16, 16, 4), dtype=np.uint8)
    again = drawn[[0, 3]] // 2 * 2  # colors that nobody can tell from the first ones
    thumbnails = np.stack([make_thumbnail(p) for p in [*drawn, *again]]).astype(np.float32)
    assert list(group_near_duplicates(thumbnails.astype(np.float64))) == [0, 1, 2, 3, 4, 5, 0, 3]
    assert list(keep_distinct(thumbnails, 0)) == [True] * 6 + [False] * 2
    targets = np.concatenate([thumbnails[6:], thumbnails[:6]])
    assert list(keep_distinct(targets, 2)) == [True, True, False, True, True, False, True, True]


def test_brands_stay_out() -> None:
    assert is_brand(picture("pixel", "whatsapp")) and is_brand(picture("pixel", "apple"))
    assert not is_brand(picture("pixel", "phone")) and not is_brand(picture("noto", "red-apple"))


def test_a_name_becomes_a_caption() -> None:
    assert _words("pin_-_green_01") == "pin green" and _words("24") == "24"


def test_targets_and_share_alike_sets_stay_out() -> None:
    used = {*COLORED_SETS, *GLYPH_SETS}
    assert used.isdisjoint({"twemoji", "openmoji", "arcticons", "emojione-v1", "logos", "vscode-icons", "devicon"})
    assert len(used) == len(COLORED_SETS) + len(GLYPH_SETS)
