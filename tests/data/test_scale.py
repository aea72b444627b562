"""Chunks and processes: the results are those of one picture after the other, and memory stays bounded."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noisette.data import open_source, prepare, scan
from noisette.data.parallel import count_workers, map_chunks
from noisette.data.split import split_held_out
from noisette.diffusion.noise import derive_seed
from noisette.errors import InputError

from .build import encoded, noise, put

modules = sys.modules


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """The number of pictures in a chunk and of processes, for all that works in chunks."""
    chosen = {"chunk": 1, "workers": 1}
    for name in ("scan", "pixel_writer", "file_hashes"):
        module = modules[f"noisette.data.{name}"]
        monkeypatch.setattr(module, "chunk_size", lambda pictures, most=1024: min(chosen["chunk"], most))
        monkeypatch.setattr(
            module,
            "map_chunks",
            lambda work, chunks, workers=None: map_chunks(work, chunks, workers or chosen["workers"]),
        )
    return chosen


def make_mixed(root: Path) -> Path:
    """Pictures of several shapes, modes and formats, with copies, near duplicates, labels, texts and damaged files."""
    rng = np.random.default_rng(0)
    for i in range(36):
        shape = ((16, 16), (16, 16), (24, 20))[i % 3]
        pixels = noise(i, *shape, channels=(3, 4, 1)[i % 5 % 3])
        if pixels.shape[2] == 4:
            pixels[..., 3] = rng.choice([0, 128, 255], shape)
        path = root / "abc"[i % 3] / f"{i:02d}.{'jpg' if i % 7 == 3 and pixels.shape[2] == 3 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(pixels, "JPEG" if path.suffix == ".jpg" else "PNG"))
        path.with_suffix(".txt").write_text(f"picture {i}")
    put(root / "a/copy.png", noise(0, 16, 16))
    put(root / "b/copy.png", noise(0, 16, 16))
    put(root / "a/near.png", noise(0, 16, 16).clip(1) - np.uint8(1))
    (root / "a/damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return root


def prepared(source: object, run: Path) -> dict[str, bytes]:
    prepare(source, run)  # type: ignore[arg-type]
    prepare(source, run)  # type: ignore[arg-type]  # the same again: the hashes agree
    return {path.name: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def test_chunks_and_processes_change_nothing(tmp_path: Path, sizes: dict[str, int]) -> None:
    """A folder, a zip of it (whose file each process opens for itself), and an array."""
    root = make_mixed(tmp_path / "set")
    import shutil

    shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    np.save(tmp_path / "array.npy", np.stack([noise(i, 16, 16, channels=4) for i in range(40)]))
    for place in (root, tmp_path / "packed.zip", tmp_path / "array.npy"):
        sizes |= {"chunk": 1, "workers": 1}
        report, files = scan(place).to_json(), prepared(place, tmp_path / f"{place.stem}-one")
        for chunk, workers in ((7, 1), (1000, 1), (3, 2)):
            sizes |= {"chunk": chunk, "workers": workers}
            assert scan(place).to_json() == report
            assert prepared(place, tmp_path / f"{place.stem}-{chunk}-{workers}") == files


def test_work_in_processes_is_in_order_and_errors_are_raised_here() -> None:
    assert list(map_chunks(lambda number: number**2, 11, workers=3)) == [number**2 for number in range(11)]

    def fail(number: int) -> int:
        if number == 4:
            raise InputError("the fourth is bad")
        return number

    found = []
    with pytest.raises(InputError, match="the fourth is bad"):
        for number in map_chunks(fail, 9, workers=2):
            found.append(number)
    assert found == [0, 1, 2, 3]


def test_a_killed_process_is_an_error_of_one_sentence() -> None:
    import os
    import signal

    def die(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(InputError, match="was ended by the system, which may lack memory"):
        list(map_chunks(die, 8, workers=2))


def test_processes_are_at_most_the_threads_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert [count_workers(chunks) for chunks in (1, 9, 100)] == [1, 2, 3]
    finally:
        torch.set_num_threads(before)
    monkeypatch.setattr(sys, "platform", "win32")
    assert count_workers(100) == 1


# ── the split ─────────────────────────────────────────────────────────────────────────────────────────────────────


def split_in_plain_python(
    contents: list[str], groups: list[int], labels: list[str | None], held_out: float, seed: int
) -> list[bool]:
    """The split picture by picture, as version 0.1.0 computed it."""
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    order = sorted(
        members, key=lambda g: (derive_seed(seed, "split", low := min(contents[i] for i in members[g])), low)
    )
    sizes = {g: len(members[g]) for g in order}
    of_label: dict[str, list[int]] = {}
    for group in order:
        counts = Counter(labels[i] or "" for i in members[group])
        of_label.setdefault(max(counts, key=lambda word: (counts[word], word)), []).append(group)
    ranks = {}
    for own in of_label.values():
        total, before = sum(sizes[g] for g in own), 0
        largest = max(1, int(held_out * total))
        for group in sorted(own, key=lambda g: sizes[g] > largest):
            ranks[group] = (before + sizes[group] / 2) / total
            before += sizes[group]
    place = {g: i for i, g in enumerate(order)}
    missing = target = int(held_out * len(groups) + 0.5)
    held = set()
    for group in sorted((g for g in order if ranks[g] < 0.5), key=lambda g: (ranks[g], place[g])):
        if sizes[group] <= missing:
            held.add(group)
            missing -= sizes[group]
    is_short = 2 * missing > target
    for group in (own[0] for own in of_label.values() if is_short and len(own) == 1):
        if sizes[group] <= missing:
            held.add(group)
            missing -= sizes[group]
    held = held or {min(order, key=lambda g: sizes[g])}
    return [group in held for group in groups]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 80),
    st.integers(1, 40),
    st.integers(1, 30),
    st.sampled_from([0.05, 0.1, 0.3, 0.5]),
    st.integers(0, 9),
)
def test_the_split_is_that_of_version_0_1(n: int, near: int, many: int, held_out: float, seed: int) -> None:
    rng = np.random.default_rng(seed * 1000 + n)
    contents = [f"{value:064x}" for value in rng.permutation(n)]
    groups = rng.integers(0, near + 1, n).tolist()
    groups[0], groups[1] = 0, near
    labels = [None if value == 0 else f"label {value}" for value in rng.integers(0, many, n)]
    assert split_held_out(contents, groups, labels, held_out, seed) == split_in_plain_python(
        contents, groups, labels, held_out, seed
    )


# ── memory ────────────────────────────────────────────────────────────────────────────────────────────────────────


def resident_file_bytes() -> int:
    """The memory of this process that holds pages of mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_array(tmp_path: Path) -> None:
    """What was read of a mapped file of 64 MB is given back at the next slice."""
    pixels = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.uint8, (64, 1024, 1024, 1))
    pixels[np.arange(64), np.arange(64)] = 255
    pixels.flush()
    del pixels
    entries, before, most = open_source(tmp_path / "large.npy").entries, resident_file_bytes(), 0
    for first in range(0, 64, 4):
        assert all(entry.read().sum() == 255 * 1024 for entry in entries[first : first + 4])  # type: ignore[union-attr]
        most = max(most, resident_file_bytes() - before)
    assert 3e6 < most < 12e6
