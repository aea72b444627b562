"""Checkpoints of PyTorch take memory in proportion to their size, and hold nothing but plain tensors."""

import io
import json
import pickle
import time
import zipfile
from pathlib import Path

import pytest
import torch

from noisette.errors import InputError
from noisette.io.checkpoint_file import read_tensors


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    """40 MB of zeros in 40 kB: torch would unpack them."""
    stored = io.BytesIO()
    torch.save({"w": torch.zeros(10_000_000)}, stored)
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(stored) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"is a compressed archive, which torch\.save does not write"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.zeros(1).expand(10**6, 10**6), "expanded to the shape"),
        (torch.zeros(3, 3).to_sparse(), "is sparse"),
        (torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8), "is quantized|damaged|which is code"),
        (torch.zeros(3, device="meta"), "without values"),
        (torch.zeros(3, dtype=torch.complex64), "is complex"),
    ],
    ids=["expanded", "sparse", "quantized", "meta", "complex"],
)
def test_tensors_that_are_not_plain_numbers_are_refused(tmp_path: Path, tensor: torch.Tensor, says: str) -> None:
    torch.save({"w": tensor}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=says):
        read_tensors(tmp_path / "a.pt")


def test_a_view_is_plain(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(12.0).reshape(3, 4).T, "half": torch.ones(2).half()}, tmp_path / "a.pt")
    tensors, notes = read_tensors(tmp_path / "a.pt")
    assert tensors["w"].shape == (4, 3) and tensors["half"].dtype is torch.float32 and "float16" in notes[0]


class Costly:
    """Pickled as a call of bytearray, which torch's restricted unpickler allows."""

    def __reduce__(self) -> tuple[type, tuple[int]]:
        return bytearray, (10**10,)


@pytest.mark.parametrize("archive", [True, False])
def test_memory_out_of_a_number_is_refused(tmp_path: Path, archive: bool) -> None:
    torch.save({"w": Costly()}, tmp_path / "a.pt", pickle_module=pickle, _use_new_zipfile_serialization=archive)
    with pytest.raises(InputError, match="contains bytearray, which is code"):
        read_tensors(tmp_path / "a.pt")


@pytest.mark.parametrize("archive", [False, True])
def test_pickles_of_many_operations_are_refused_before_they_are_read(tmp_path: Path, archive: bool) -> None:
    """Two megabytes of lists in lists, which torch would take ten seconds for."""
    pickled, path = b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".", tmp_path / "deep.pt"
    if archive:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("archive/data.pkl", pickled)
            file.writestr("archive/version", "3")
    else:
        path.write_bytes(pickled)
    start = time.process_time()
    with pytest.raises(InputError, match="holds more than 400,000 operations"):
        read_tensors(path)
    assert time.process_time() - start < 2


def test_a_checkpoint_of_a_thousand_tensors_and_its_optimizer_is_read(tmp_path: Path) -> None:
    weights = {f"blocks.{i}.weight": torch.zeros(2) for i in range(1000)}
    state = {i: {"step": torch.zeros(()), "exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)} for i in range(1000)}
    for name, options in (("new.pt", {}), ("old.pt", {"_use_new_zipfile_serialization": False})):
        torch.save({"state_dict": weights, "optimizer": {"state": state}}, tmp_path / name, **options)
        assert read_tensors(tmp_path / name)[0].keys() == weights.keys()


def test_a_refusal_does_not_advise_to_load_without_restriction(tmp_path: Path) -> None:
    (tmp_path / "frame.pt").write_bytes(b"\x80\x04\x95" + bytes(8) + b".")
    with pytest.raises(InputError, match="is damaged or not a PyTorch checkpoint") as raised:
        read_tensors(tmp_path / "frame.pt")
    assert "trusted" not in str(raised.value)


def test_safetensors_of_very_many_tensors_are_refused(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"a{i}": entry for i in range(30_000)}).encode()
    (tmp_path / "many.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(InputError, match="holds 30,000 tensors, the maximum is 20,000"):
        read_tensors(tmp_path / "many.safetensors")
