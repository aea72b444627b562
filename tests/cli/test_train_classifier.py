"""noisette train-classifier, and drawing with what it made."""

import json
from pathlib import Path

from noisette.data.png import read_metadata


def test_of_a_run_and_used(call, trained, other_model, tmp_path: Path) -> None:
    """It reads the run's pictures and noise, says how well, and steers; the picture is drawn again with it."""
    run, folder = trained[0], tmp_path / "classifier"
    made = call("train-classifier", run, "--out", folder, "--images", 128)
    assert made.code == 0, made.err
    assert "held-out pictures, 2 labels" in made.out and str(folder) in made.out
    accuracy = json.loads((folder / "accuracy.json").read_text())
    assert all(
        0 <= row["accuracy"]["low"] <= row["accuracy"]["value"] <= row["accuracy"]["high"] <= 1 for row in accuracy
    )
    options = ("-n", 2, "--steps", 2, "--label", "food", "--classifier", folder, "--classifier-scale", 3)
    drawn = call("sample", run, "--out", tmp_path / "a", *options)
    assert drawn.code == 0, drawn.err
    first = tmp_path / "a" / "food-000001.png"
    steering = read_metadata(first)["steering"]
    assert steering["classifier_scale"] == 3.0 and len(steering["classifier"]) == 64
    again = call("sample", run, "--out", tmp_path / "b", "--like", first, "--classifier", folder)
    assert again.code == 0, again.err
    assert (tmp_path / "b" / first.name).read_bytes() == first.read_bytes()
    assert "with the classifier" in call("sample", run, "--out", tmp_path / "b", "--like", first).err
    wrong = call("sample", other_model, "--out", tmp_path / "c", "-n", 1, "--classifier", folder)
    assert wrong.code == 2 and "of the model's mode and size" in wrong.err


def test_of_a_folder_as_json(call, sprites, tmp_path: Path) -> None:
    made = call("train-classifier", sprites, "--out", tmp_path / "classifier", "--images", 64, "--json")
    assert made.code == 0, made.err
    rows = [json.loads(line) for line in made.out.splitlines()]
    assert [row["noise"] for row in rows] == [0.001, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0]


def test_what_cannot_be(refused, trained, model, sprites, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "give one of them" in refused("train-classifier", sprites, "--out", out, "--for", "9s", "--images", 9)
    assert "leave size out" in refused("train-classifier", trained[0], "--out", out, "--size", 8)
    assert "holds other files" in refused("train-classifier", sprites, "--out", model)
    assert "holds other files" in refused("train-classifier", sprites, "--out", trained[0])
    assert "above 0" in refused("train-classifier", sprites, "--out", out, "--batch", 0)
    assert "nowhere" in refused("train-classifier", tmp_path / "nowhere", "--out", out)
    assert not out.exists()
