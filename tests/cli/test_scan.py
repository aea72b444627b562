import json


def test_says_in_words_what_is_there(call, sprites) -> None:
    result = call("scan", sprites)
    assert result.code == 0, result.err
    said = " ".join(result.out.split())
    for words in (
        "40 that differ; 1 exact copies", "1 left out", "8×8 in all", "PNG RGBA, 8 bit in all", "binary in all",
        "food 21", "tool 20", "tool/words.png is a text file, not a picture", "training would use RGBA of 8×8",
    ):  # fmt: skip
        assert words in said, said


def test_says_the_same_to_machines(call, sprites) -> None:
    told = json.loads(call("scan", sprites, "--json").out)
    assert told["pictures"] == 41 and told["distinct"] == 40 and told["mode"] == "RGBA"
    assert told["labels"] == {"food": 21, "tool": 20}
    assert [q["name"] for q in told["quarantined"]] == ["tool/words.png"]


def test_a_sheet_is_cut_into_cells(call, tmp_path) -> None:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "sheet.png")
    told = json.loads(call("scan", tmp_path / "sheet.png", "--cell", "12x8", "--json").out)
    assert told["pictures"] == 4 and told["sizes"] == {"12×8": 4}
    assert "12×8 in all" in call("scan", tmp_path / "sheet.png", "--cell", "12x8").out


def test_sources_that_are_none(refused, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.png").write_text("hello")
    assert "emoij" in refused("scan", "emoij") and "emoji" in refused("scan", "emoij")
    refused("scan", tmp_path / "empty")
    assert "a.png" in refused("scan", tmp_path / "words")
    assert "32x24" in refused("scan", "emoji", "--cell", "big")
