"""The net behind published FIDs, from a file: its shape is the published one, and nothing else is read."""

import pickle
from pathlib import Path

import pytest
import torch

from noisette.errors import InputError
from noisette.evaluation.metrics.features import FeatureExtractor
from noisette.evaluation.metrics.inception import InceptionExtractor, InceptionV3

PUBLISHED = 21_785_568  # parameters of Inception v3 without its classifier (2,048 × 1,000 + 1,000) and auxiliary head


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights under the names of the published file, with the classifier that it has and we do not use."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(InceptionV3().state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, path)
    return path


def test_it_has_the_published_number_of_parameters():
    assert sum(p.numel() for p in InceptionV3().parameters()) == PUBLISHED


def test_features_of_a_picture_belong_to_it_alone(file: Path):
    net = InceptionExtractor(file)
    assert isinstance(net, FeatureExtractor) and "Inception v3" in net.name and len(net.hash) == 16
    pixels = torch.randint(0, 256, (3, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = net(pixels)
    assert found.shape == (3, 2048)
    torch.testing.assert_close(net(pixels[1:2]), found[1:2], rtol=1e-3, atol=1e-5)
    assert net(torch.cat([pixels, pixels[:, :1]], 1)).shape == (3, 4096)


def test_what_is_no_such_file(file: Path, tmp_path: Path):
    with pytest.raises(InputError, match="there is no file"):
        InceptionExtractor(tmp_path / "none.pth")
    weights = torch.load(file, weights_only=True)
    torch.save({k: v for k, v in weights.items() if "Mixed_7c" not in k}, tmp_path / "cut.pth")
    with pytest.raises(InputError, match=r"Mixed_7c\S+ is missing or of another shape"):
        InceptionExtractor(tmp_path / "cut.pth")
    (tmp_path / "code.pth").write_bytes(pickle.dumps(Path))
    with pytest.raises(InputError, match="cannot be read as a PyTorch file of tensors"):
        InceptionExtractor(tmp_path / "code.pth")
