import json


def test_report_as_text(call, sprites) -> None:
    result = call("scan", sprites)
    assert result.code == 0, result.err
    text = " ".join(result.out.split())
    for words in (
        "40 distinct; 1 exact copies", "1 left out", "8×8 in all", "PNG RGBA, 8 bit in all", "binary in all",
        "food 21", "tool 20", "tool/words.png is a text file, not a picture", "by default training uses RGBA of 8×8",
    ):  # fmt: skip
        assert words in text, text


def test_report_as_json(call, sprites) -> None:
    data = json.loads(call("scan", sprites, "--json").out)
    assert data["pictures"] == 41 and data["distinct"] == 40 and data["mode"] == "RGBA"
    assert data["labels"] == {"food": 21, "tool": 20}
    assert [q["name"] for q in data["quarantined"]] == ["tool/words.png"]


def test_a_sheet_is_cut_into_cells(call, tmp_path) -> None:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "sheet.png")
    data = json.loads(call("scan", tmp_path / "sheet.png", "--cell", "12x8", "--json").out)
    assert data["pictures"] == 4 and data["sizes"] == {"12×8": 4}
    assert "12×8 in all" in call("scan", tmp_path / "sheet.png", "--cell", "12x8").out


def test_a_sheet_with_margin_spacing_and_auto(call, refused, tmp_path) -> None:
    import numpy as np
    from PIL import Image

    pixels = np.full((2 + 2 * 9, 2 + 3 * 11, 3), 200, np.uint8)
    for row, column in np.ndindex(2, 3):
        pixels[2 + row * 9 :][:8, 2 + column * 11 :][:, :10] = np.random.default_rng(row * 3 + column).integers(
            0, 200, (8, 10, 3), dtype=np.uint8
        )
    sheet = tmp_path / "sheet.png"
    Image.fromarray(pixels).save(sheet)
    for options in (("--cell", "10x8", "--spacing", "1", "--margin", "2"), ("--cell", "auto")):
        assert json.loads(call("scan", sheet, *options, "--json").out)["sizes"] == {"10×8": 6}
    assert "a spacing of 2 and a margin of 1 would fit" in refused("scan", sheet, "--cell", "10x8", "--spacing", "3")
    assert "give the size of its cells, too" in refused("scan", sheet, "--margin", "2")
    run = tmp_path / "run"
    words = refused("train", sheet, "--out", run, "--cell", "9", "--spacing", "1", "--images", "8")
    assert "is 35×20, which is not a whole number of cells" in words and not run.exists()


def test_sources_that_are_none(refused, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.png").write_text("hello")
    assert "emoij" in refused("scan", "emoij") and "emoji" in refused("scan", "emoij")
    refused("scan", tmp_path / "empty")
    assert "a.png" in refused("scan", tmp_path / "words")
    assert "32x24" in refused("scan", "emoji", "--cell", "big")


def test_promises_what_training_does(call, tmp_path) -> None:
    """The number of held-out pictures, and a refusal."""
    import numpy as np
    from PIL import Image

    for i in range(120):
        path = tmp_path / "sprites" / f"label {i % 30}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    assert "and holds out 12 pictures" in " ".join(call("scan", tmp_path / "sprites").out.split())
    (tmp_path / "same").mkdir()
    for i in range(10):
        Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "same" / f"{i}.png")
    result = call("scan", tmp_path / "same")
    report = json.loads(call("scan", tmp_path / "same", "--json").out)
    assert report["held_out"] == 0 and report["refused"].startswith("there is only one picture")
    assert json.loads(call("scan", tmp_path / "sprites", "--json").out)["held_out"] == 12
    assert result.code == 0 and "training refuses this set: there is only one picture" in " ".join(result.out.split())
