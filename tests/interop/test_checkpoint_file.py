"""Checkpoints of PyTorch take memory in proportion to their size, and hold nothing but plain tensors."""

import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from noisette.errors import InputError
from noisette.interop.checkpoint_file import read_tensors


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
