"""Scans of a set with every kind of problem, and of sets for which the right answer is known."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from noisette.data import BadPicture, decode, open_source, prepare, scan
from noisette.data.color_mode import alpha_kind, choose_mode, convert_mode, is_grayscale
from noisette.data.entry import Entry, Source, natural_sort_key
from noisette.data.near_duplicates import (
    NEAR_DUPLICATE_RATIO,
    group_near_duplicates,
    measure_mirror_share,
)
from noisette.data.scan import ScanResult, scan_source
from noisette.data.split import split_scan
from noisette.data.thumbnails import make_thumbnail
from noisette.errors import InputError

from .build import encoded, folder, image, noise, png, put


def of(*pictures: np.ndarray, **known: list[str | None]) -> ScanResult:
    """The scan of pictures in memory."""
    entries = tuple(
        Entry(f"{i:02d}", lambda p=p: p, **{k: v[i] for k, v in known.items()}) for i, p in enumerate(pictures)
    )
    return scan_source(Source("memory", "array", entries))


@pytest.fixture
def everything(tmp_path: Path) -> ScanResult:
    """One picture of each kind, good and bad."""
    soft = noise(1, 24, 16, 4)
    soft[..., 3] |= 1
    hard = noise(2, 16, 16, 4)
    hard[..., 3] = np.where(hard[..., 3] > 127, 255, 0)
    gray = noise(3, 16, 16, 1)
    frames = [Image.new("RGB", (16, 16), c) for c in ("red", "blue")]
    for name, data in {
        "good/soft.png": encoded(soft),
        "good/hard.png": encoded(hard),
        "good/gray.png": encoded(gray),
        "good/gray-as-rgb.bmp": encoded(gray.repeat(3, axis=2), "BMP"),
        "good/deep.png": encoded(Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257)),
        "good/moving.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "good/palette.png": encoded(image(noise(5)).quantize(8)),
        "bad/text.png": b"not a picture at all\n",
        "bad/cut.png": encoded(noise(6, 64, 64))[:2000],
        "bad/bomb.png": png(60_000, 60_000, 8, 6, b"\0" * 100),
        "bad/nothing.png": png(0, 0, 8, 6, b""),
        "bad/long.png": encoded(noise(7, 5000, 3)),
        "bad/empty.png": b"",
    }.items():
        put(tmp_path / name, data)
    return scan(tmp_path)


def test_unusable_pictures_are_quarantined_with_a_reason(everything: ScanResult) -> None:
    reasons = {q.name: q.reason for q in everything.quarantined}
    assert sorted(reasons) == [f"bad/{n}.png" for n in ("bomb", "cut", "empty", "long", "nothing", "text")]
    assert reasons["bad/text.png"] == "is a text file, not a picture"
    assert reasons["bad/cut.png"] == "cannot be decoded: it is truncated"
    assert reasons["bad/bomb.png"].startswith("is 60000×60000")
    assert reasons["bad/nothing.png"] == "is 0×0: it has no pixels"
    assert reasons["bad/long.png"].startswith("is 3×5000, more than 16 times as long as wide")
    assert reasons["bad/empty.png"] == "is empty: 0 bytes"
    assert all(q.sha256 and len(q.sha256) == 64 for q in everything.quarantined)


def test_usable_pictures_are_described(everything: ScanResult) -> None:
    one = {p.name.removeprefix("good/"): p for p in everything.pictures}
    assert {n: p.alpha for n, p in one.items() if p.alpha != "none"} == {"soft.png": "soft", "hard.png": "binary"}
    assert [n for n, p in one.items() if p.is_grayscale] == ["deep.png", "gray-as-rgb.bmp", "gray.png"]
    assert one["deep.png"].bits == 16 and one["deep.png"].colors == 256
    assert [n for n, p in one.items() if p.is_animated] == ["moving.gif"]
    assert one["palette.png"].colors == 8 and one["palette.png"].stored_mode == "P"
    assert [n for n, p in one.items() if p.hidden_color_pixels] == ["hard.png"]
    assert (one["soft.png"].height, one["soft.png"].width) == (24, 16)
    assert one["gray-as-rgb.bmp"].copy_of == "good/gray.png" or one["gray.png"].copy_of == "good/gray-as-rgb.bmp"
    assert everything.mode == "RGBA" and len(everything.distinct) == 6
    assert everything.labels == {} and "the same label, good" in everything.notes[-1]  # all of the bad ones are gone


def test_a_scan_can_be_written_as_json(everything: ScanResult) -> None:
    report = json.loads(json.dumps(everything.to_json(), allow_nan=False))
    assert report["pictures"] == 7 and report["distinct"] == 6 and report["mode"] == "RGBA"
    assert report["sizes"] == {"16×16": 6, "16×24": 1} and report["formats"] == {"PNG": 5, "BMP": 1, "GIF": 1}
    assert report["alpha"] == {"none": 5, "binary": 1, "soft": 1} and report["animated"] == ["good/moving.gif"]
    assert report["hidden_colors"] == ["good/hard.png"] and len(report["quarantined"]) == 6
    assert report["colors_per_picture"]["up to 8"] == 1 and report["mirror_share"] is None and not report["flip_safe"]


def test_without_any_picture(tmp_path: Path) -> None:
    put(tmp_path / "a.png", b"just words")
    put(tmp_path / "b.png", b"")
    with pytest.raises(
        InputError, match=r"none of the 2 pictures .* a.png is a text file, not a picture \(and others\)"
    ):
        scan(tmp_path)


def test_what_cannot_be_opened_is_quarantined() -> None:
    def fail(error: Exception) -> Entry:
        def read() -> bytes:
            raise error

        return Entry(type(error).__name__, read)

    good = Entry("good", noise)
    entries = (good, fail(PermissionError(13, "Permission denied")), fail(BadPicture("is a link")))
    found = scan_source(Source("x", "folder", entries))
    assert [(q.name, q.reason, q.sha256) for q in found.quarantined] == [
        ("PermissionError", "cannot be read: permission denied", None),
        ("BadPicture", "is a link", None),
    ]


def test_progress_is_reported() -> None:
    calls: list[tuple[int, int]] = []
    entries = tuple(Entry(str(i), lambda i=i: noise(i)) for i in range(3))
    scan_source(Source("x", "array", entries), lambda done, total: calls.append((done, total)))
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]


# ── copies and labels ─────────────────────────────────────────────────────────────────────────────────────────────


def test_copies_are_found_in_any_file_format() -> None:
    gray = noise(0, channels=1)
    opaque = np.concatenate([gray, np.full_like(gray, 255)], axis=2)
    found = of(gray, gray.repeat(3, axis=2), opaque, noise(1), noise(1, channels=4))
    assert [p.copy_of for p in found.pictures] == [None, "00", "00", None, None]
    assert len({p.group for p in found.pictures}) == 3


def test_equal_pixels_with_another_label_are_a_near_duplicate_but_no_copy() -> None:
    found = of(noise(0), noise(0), noise(0), noise(2), label=["a", "b", "a", "b"])
    assert [p.copy_of for p in found.pictures] == [None, None, "00", None]
    assert [p.group for p in found.pictures[:3]] == [found.pictures[0].group] * 3
    assert "the same picture under several labels: 1 (01)" in found.notes


def test_labels_are_counted_in_natural_order() -> None:
    found = of(*map(noise, range(5)), label=["10", "9", None, "9", "b"])
    assert list(found.labels.items()) == [("9", 2), ("10", 1), ("b", 1)]
    assert sorted(["x10", "X9", "x9b", "a" * 9000, "9" * 9000, "²"], key=natural_sort_key)[:1] == ["9" * 9000]
    assert sorted(["x10", "x9", "X1"], key=natural_sort_key) == ["X1", "x9", "x10"]


# ── modes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_smallest_mode_that_loses_nothing() -> None:
    gray, color = noise(0, channels=1), noise(1)
    clear = np.concatenate([gray, noise(2, channels=1)], axis=2)
    assert of(gray).mode == of(gray.repeat(3, axis=2)).mode == "L"
    assert of(gray, color).mode == of(noise(3, channels=4) | np.uint8([0, 0, 0, 255])).mode == "RGB"
    assert of(gray, clear).mode == "LA"
    assert of(color, clear).mode == "RGBA"
    assert choose_mode([("none", True)]) == "L" and choose_mode(iter([("binary", False)])) == "RGBA"


def test_conversions() -> None:
    rgba = np.array([[[255, 0, 0, 255], [0, 0, 0, 0], [10, 20, 30, 128], [77, 77, 77, 255]]], np.uint8)
    assert convert_mode(rgba, "RGB").tolist() == [[[255, 0, 0], [255, 255, 255], [132, 137, 142], [77, 77, 77]]]
    assert convert_mode(rgba, "L")[0, :, 0].tolist() == [76, 255, 136, 77]
    assert convert_mode(rgba, "LA")[0].tolist() == [[76, 255], [0, 0], [18, 128], [77, 255]]
    assert convert_mode(noise(0, channels=1), "RGBA").shape == (16, 16, 4)
    for mode in ("L", "LA", "RGB", "RGBA"):
        gray = noise(1, channels=1)
        assert (convert_mode(gray, mode)[..., 0] == gray[..., 0]).all() and is_grayscale(convert_mode(gray, mode))
    assert alpha_kind(convert_mode(noise(0), "RGBA")) == "none"


# ── likeness ──────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 60), st.integers(0, 2**32), st.floats(0.01, 0.3))
def test_groups_are_those_of_all_pairs(n: int, seed: int, spread: float) -> None:
    """Against the definition, pair by pair."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(128, 40, (max(1, n // 4), 256))
    x = centers[rng.integers(0, len(centers), n)] + rng.normal(0, 40 * spread, (n, 256))
    energy = ((x.reshape(n, 4, 64) - x.reshape(n, 4, 64).mean(2, keepdims=True)) ** 2).sum((1, 2))
    near = ((x[:, None] - x[None]) ** 2).sum(2) < NEAR_DUPLICATE_RATIO**2 * np.minimum(energy[:, None], energy[None])
    for _ in range(n):
        near = near @ near
    assert (
        group_near_duplicates(x) == [int(np.flatnonzero(row | (np.arange(n) == i))[0]) for i, row in enumerate(near)]
    ).all()


def test_a_picture_saved_again_is_near_and_others_are_not() -> None:
    drawings = [convert_mode(p, "RGB") for p in emoji(40)]
    again = [np.asarray(Image.open(io.BytesIO(encoded(p, "JPEG", quality=60)))) for p in drawings]
    touched = [p.copy() for p in drawings]
    for p in touched:
        p[30:33, 30:33] = 255 - p[30:33, 30:33]
    groups = group_near_duplicates(np.stack([make_thumbnail(p) for p in drawings + again + touched]))
    assert (groups[40:80] == groups[:40]).all() and (groups[80:] == groups[:40]).all()
    assert len(set(groups.tolist())) >= 36


def emoji(n: int) -> list[np.ndarray]:
    entries = open_source("emoji").entries
    return [decode(e.read()).pixels for e in entries[:: len(entries) // n]][:n]


def test_many_pictures_are_searched_by_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    nearly = noise(0).clip(1) - np.uint8(1)
    pictures = [noise(0), nearly, noise(0), *map(noise, range(1, 9))]
    expected = of(*pictures)
    assert [p.group for p in expected.pictures[:4]] == [0, 0, 0, 2]
    for module in ("scan", "near_duplicates"):  # the package has a function called scan
        monkeypatch.setattr(sys.modules[f"noisette.data.{module}"], "MAX_COMPARED", 9)
    found = of(*pictures)
    assert found.pictures == expected.pictures and found.mirror_share == expected.mirror_share
    assert found.notes == (
        "more than 9 pictures: near duplicates are searched by locality-sensitive hashing, which may miss a few",
    )


def made_thumbnails(n: int, seed: int) -> np.ndarray:
    """Thumbnails of smooth pictures; a tenth is another one with noise up to the limit of near duplicates."""
    rng = np.random.default_rng(seed)
    rough = rng.normal(0, 1, (n, 3, 3, 3)) @ rng.normal(0, 1, (3, 8))
    smooth = np.einsum("ncyx,yz->nczx", rough, rng.normal(0, 1, (3, 8))) * 15 + 128
    x = np.concatenate([smooth, np.full((n, 1, 8, 8), 255.0)], axis=1).reshape(n, 256).astype(np.float32)
    planes = x.reshape(n, 4, 64)
    contrast = ((planes - planes.mean(2, keepdims=True)) ** 2).sum((1, 2)) ** 0.5
    of_others, copies = rng.integers(0, n, n // 10), rng.integers(0, n, n // 10)
    step = rng.normal(0, 1, (n // 10, 256))
    step *= (rng.uniform(0.02, 0.145, n // 10) * contrast[of_others] / np.linalg.norm(step, axis=1))[:, None]
    x[copies] = x[of_others] + step
    return x


def test_hashing_finds_nearly_all_near_duplicates() -> None:
    x = made_thumbnails(4000, 0)
    every, hashed = (group_near_duplicates(x, exact=exact) for exact in (True, False))
    joined = every != np.arange(len(x))
    assert joined.sum() > 300 and (hashed[joined] == every[joined]).mean() > 0.99
    assert ((hashed == every) | (hashed == np.arange(len(x))) | joined).all()  # and no others: each pair is compared


def test_pictures_of_one_color_have_no_near_duplicates() -> None:
    flat = [np.full((16, 16, 3), v, np.uint8) for v in (100, 101, 102)]
    assert len({p.group for p in of(*flat).pictures}) == 3


def test_the_mirror_share_of_constructed_sets() -> None:
    rng = np.random.default_rng(0)
    any_way = rng.normal(128, 30, (400, 4, 8, 8)).cumsum(3)  # steps to the left, and as many to the right
    any_way[::2] = any_way[::2, ..., ::-1]
    one_way = any_way.copy()
    one_way[::2] = one_way[::2, ..., ::-1]
    apart = np.arange(400)
    share = measure_mirror_share(any_way.reshape(400, -1), apart)
    assert share is not None and 0.4 < share < 0.6
    assert measure_mirror_share(one_way.reshape(400, -1), apart) == 0.0
    both = one_way[:200] + one_way[:200, ..., ::-1]
    assert measure_mirror_share(both.reshape(200, -1), apart[:200]) == 1.0  # each is its own mirror image
    assert measure_mirror_share(one_way[:7].reshape(7, -1), apart[:7]) is None


def test_digits_are_not_to_be_flipped_and_emoji_may_be() -> None:
    digits = open_source("digits")
    assert not scan_source(replace(digits, entries=digits.entries[:400])).is_flip_safe
    drawings = emoji(300)
    found = of(*drawings)
    assert found.mirror_share is not None and found.mirror_share > 0.5 and found.is_flip_safe


def test_a_folder_of_near_duplicates(tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "b.png")
    nearly = noise(0).astype(int) + 1
    put(tmp_path / "c.png", nearly.clip(0, 255).astype(np.uint8))
    put(tmp_path / "d.png", noise(0))
    found = scan(tmp_path)
    assert found.near_duplicates == (("a.png", "c.png"),)
    assert found.to_json()["copies"] == {"d.png": "a.png"}


def film(n: int) -> list[np.ndarray]:
    """Frames of a disc that moves over dark ground: each is near to the next, the first and the last are not."""
    y, x = np.mgrid[:32, :32]
    frames = []
    for i in range(n):
        cx, cy = 16 + 7 * np.cos(2 * np.pi * i / n), 16 + 7 * np.sin(2 * np.pi * i / n)
        frames.append(
            np.repeat(255 * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / 72))[..., None], 3, 2).astype(np.uint8)
        )
    return frames


def test_chains_of_near_duplicates_do_not_swallow_a_set(tmp_path: Path) -> None:
    frames = film(60)
    assert len(set(group_near_duplicates(np.stack([make_thumbnail(f) for f in frames])).tolist())) == 1
    for i, frame in enumerate(frames):
        put(tmp_path / f"{i:02d}.png", frame)
    result = scan(tmp_path)
    assert len({p.group for p in result.pictures}) > 1 and sum(split_scan(result)[0]) == 6
    (note,) = (n for n in result.notes if "--near-duplicates" in n)
    assert note.startswith("near duplicates link most pictures to each other")
    assert len({p.group for p in scan(tmp_path, near_duplicates=0).pictures}) == 60
    with pytest.raises(InputError, match="only one picture in 60 near copies"):
        split_scan(scan(tmp_path, near_duplicates=0.15))  # whoever asks for it
    for bad in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match="near duplicates must be between 0 and 1"):
            scan(tmp_path, near_duplicates=bad)


@pytest.mark.parametrize(
    ("color", "words"),
    [
        ((90, 30, 0, 255), "all training pictures of .* are of one and the same color"),
        ((90, 30, 0, 0), "all training pictures of .* are fully transparent"),
    ],
)
def test_sets_of_one_color_are_refused_in_a_sentence(tmp_path: Path, color: tuple[int, ...], words: str) -> None:
    for i in range(9, 14):
        put(tmp_path / "set" / f"{i}.png", np.full((i, 9, 4), color, np.uint8))
    with pytest.raises(InputError, match=words):
        split_scan(scan(tmp_path / "set"))
    with pytest.raises(InputError, match=words):
        prepare(tmp_path / "set", tmp_path / "run")
    assert not (tmp_path / "run" / "data.json").exists()
