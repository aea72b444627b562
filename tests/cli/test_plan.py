"""What more pictures would bring, as people ask for it."""

import json

import numpy as np
from PIL import Image


def test_a_sentence_a_table_and_json(call, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for i in range(50):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8), "L").save(tmp_path / "pictures" / f"{i}.png")
    words = ("plan", tmp_path / "pictures", "--images", 32, "--preset", "tiny", "--extra-images", 20)
    result = call(*words)
    assert result.code == 0, result.err
    assert "20 more pictures would lower the held-out loss by" in result.out and "Six models" in result.out
    data = json.loads(call(*words, "--json").out)
    assert data["summary"] in result.out and len(data["points"]) == 6 and data["extra_pictures"] == 20
    assert data["gain"]["low"] <= data["gain"]["value"] <= data["gain"]["high"]


def test_what_cannot_be_planned(refused, sprites):
    assert "give one of them" in refused("plan", sprites, "--for", "6m", "--images", "100")
    assert "--extra-images must be 1 or more, got 0" in refused("plan", sprites, "--extra-images", "0")
    assert "too few to learn from parts" in refused("plan", sprites, "--images", "32", "--preset", "tiny")
