import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from noisette.data import Dataset, prepare
from noisette.data.attributes import build_columns, with_attributes
from noisette.data.pictures import Pictures
from noisette.errors import InputError
from noisette.io.json_files import read_json
from noisette.models.config import ModelConfig, from_json, to_json
from noisette.models.context import attribute_names, encode_attributes, encode_labels, label_weights, parse_attributes
from noisette.models.picture_model import PictureModel
from noisette.sampling.request import format_label
from tiny_models import tiny

LABELS = ("bread", "potion", "weapon", "a:b")
PICTURES = Pictures(
    "RGB", 8, 8, LABELS, ("hue", "shape=round", "shape=square", "level=1", "level=2"),
    means=(0.5, 0.0, 0.0, 0.0, 0.0), scales=(0.2, 1.0, 1.0, 1.0, 1.0),
)  # fmt: skip


# ── labels ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        ("potion", {"potion": 1}),
        ("potion:0.5,weapon:0.5", {"potion": 0.5, "weapon": 0.5}),
        (" potion : 1 , weapon : 3 ", {"potion": 0.25, "weapon": 0.75}),
        ({"potion": 2, "bread": 2}, {"potion": 0.5, "bread": 0.5}),
        ("potion:1,weapon:0", {"potion": 1}),
        ("a:b", {"a:b": 1}),
        ("a:b:1,bread:1", {"a:b": 0.5, "bread": 0.5}),
    ],
)
def test_labels_and_mixtures(value, weights) -> None:
    assert label_weights(value, LABELS) == pytest.approx(weights)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("poton", "did you mean 'potion'"),
        ("poton:1,weapon:1", "no label is called 'poton'"),
        ("potion:half", "write it like potion:0.5,weapon:0.5"),
        ("potion:1,weapon", "write it like"),
        ("potion:-1,weapon:2", "0 or more"),
        ("potion:nan", "0 or more"),
        ("potion:0", "must sum to a number above 0"),
        ({}, "must sum to a number above 0"),
    ],
)
def test_mixtures_that_are_none(value, reason) -> None:
    with pytest.raises(InputError, match=reason):
        label_weights(value, LABELS)


def test_rows_of_labels() -> None:
    plain = encode_labels(["weapon", None, {"bread": 3.0}], LABELS)
    assert plain.dtype == torch.int64 and plain.tolist() == [2, -1, 0]
    mixed = encode_labels(["weapon", None, "bread:1,potion:3"], LABELS)
    assert mixed[[0, 2]].tolist() == [[0, 0, 1, 0], [0.25, 0.75, 0, 0]] and mixed[1].isnan().all()


# ── attributes ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_attributes_as_they_are_written() -> None:
    assert parse_attributes(["hue=0.3", "shape = round", "level=2"]) == {"hue": 0.3, "shape": "round", "level": 2.0}
    for texts, reason in ((["hue"], "no attribute"), (["=3"], "no attribute"), (["hue="], "no attribute")):
        with pytest.raises(InputError, match=reason):
            parse_attributes(texts)
    with pytest.raises(InputError, match="twice"):
        parse_attributes(["hue=1", "hue=2"])


def test_the_vector_is_in_the_units_of_the_data() -> None:
    assert encode_attributes({"hue": 0.3}, PICTURES).tolist() == pytest.approx([-1, 0, 0, 0, 0])
    assert encode_attributes({"hue": 0.5, "shape": "square"}, PICTURES).tolist() == [0, 0, 1, 0, 0]
    assert encode_attributes({"level": 2.0}, PICTURES).tolist() == [0, 0, 0, 0, 1]
    assert encode_attributes(None, PICTURES).isnan().all() and encode_attributes({}, PICTURES).isnan().all()
    assert attribute_names(PICTURES) == {"hue": (), "shape": ("round", "square"), "level": ("1", "2")}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"hu": 0.3}, "did you mean 'hue'"),
        ({"shape": "rond"}, "has no value 'rond': did you mean 'round'"),
        ({"shape": 3.0}, "has no value '3'"),
        ({"hue": "red"}, "is a number, not 'red'"),
        ({"hue": float("inf")}, "is a number"),
    ],
)
def test_wrong_attributes_are_refused(value, reason) -> None:
    with pytest.raises(InputError, match=reason):
        encode_attributes(value, PICTURES)


# ── a model, and what it was trained on ───────────────────────────────────────────────────────────────────────────


def conditional_model(pictures: Pictures) -> PictureModel:
    return tiny("RGB", pictures.labels, attributes=pictures.attributes, means=pictures.means, scales=pictures.scales)


def test_conditions_by_name() -> None:
    model = conditional_model(PICTURES)
    cond = model.condition(["bread", "potion:1,weapon:1"], 3, attributes=[{"hue": 0.7}, None])
    assert cond is not None and cond.label is not None and cond.vector is not None
    assert cond.label.tolist() == [[1, 0, 0, 0], [0, 0.5, 0.5, 0], [1, 0, 0, 0]]
    assert cond.vector[0, 0] == pytest.approx(1) and cond.vector[1].isnan().all()
    x, t = torch.randn(3, 3, 8, 8), torch.tensor(0.01, dtype=torch.float64)
    drawn = model.given(cond)(x, t).x0
    assert drawn.isfinite().all()
    asked_otherwise = model.given(model.condition("bread", 3, attributes={"hue": 0.2}))(x, t).x0
    assert not torch.allclose(drawn[0], asked_otherwise[0], atol=1e-4)  # it listens
    null = model.condition(None, 2)
    assert null is not None and null.label is not None and null.label.tolist() == [-1, -1]
    for pictures, value, reason in (
        (Pictures("RGB", 8, 8, LABELS), {"attributes": {"hue": 1.0}}, "without attributes"),
        (Pictures("RGB", 8, 8), {"label": {"potion": 1.0}}, "without labels"),
    ):
        with pytest.raises(InputError, match=reason):
            conditional_model(pictures).condition(n=2, **value)
    assert conditional_model(Pictures("RGB", 8, 8)).condition(None, 2) is None
    assert model.label_index("weapon") == 2 and model.label_index(None) == -1
    with pytest.raises(InputError, match="which has no class number"):
        model.label_index("weapon:1,bread:1")


def test_a_mixture_of_one_is_that_label_and_halves_lie_between() -> None:
    model = conditional_model(PICTURES)
    x, t = torch.randn(1, 3, 8, 8), torch.tensor(0.01, dtype=torch.float64)

    def x0(label) -> torch.Tensor:
        return model.given(model.condition(label, 1))(x, t).x0

    torch.testing.assert_close(x0({"bread": 1.0, "potion": 0.0}), x0("bread"))
    near, far = x0("bread:0.9,potion:0.1"), x0("bread:0.1,potion:0.9")
    assert (near - x0("bread")).norm() < (far - x0("bread")).norm()


def test_models_keep_their_units_and_older_ones_still_load() -> None:
    config = conditional_model(PICTURES).config
    assert from_json(ModelConfig, json.loads(json.dumps(to_json(config)))) == config
    older = to_json(config)
    del older["pictures"]["means"], older["pictures"]["scales"]
    model = PictureModel(from_json(ModelConfig, older))
    words = model.condition("bread", 1, attributes={"shape": "round"})
    assert words is not None and words.vector is not None and words.vector.tolist() == [[0, 1, 0, 0, 0]]
    with pytest.raises(InputError, match="does not record the units"):
        model.condition("bread", 1, attributes={"hue": 0.3})
    with pytest.raises(InputError, match="one mean and one scale per attribute"):
        Pictures("RGB", 8, 8, (), ("hue",), means=(0.0, 1.0), scales=(1.0,))


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """Pictures with a hue and a shape."""
    rng, rows = np.random.default_rng(0), []
    folder = tmp_path / "described"
    folder.mkdir()
    for i in range(24):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i:02d}.png")
        rows.append({"file_name": f"{i:02d}.png", "hue": i / 10, "shape": ("round", "square")[i % 2]})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_data_set_gives_its_units_to_the_model(described: Path, tmp_path: Path) -> None:
    """What a picture's condition is in training is what its own values ask for."""
    data = prepare(described, tmp_path / "run")
    assert data.pictures.attributes == ("hue", "shape=round", "shape=square")
    rows = torch.arange(4)
    trained = data.train.condition(rows).vector
    for file, row in zip(data.train.files, trained, strict=False):
        torch.testing.assert_close(encode_attributes(file.attributes, data.pictures), row)
    manifest = tmp_path / "run" / "data.json"  # of an older version, which kept them beside the columns alone
    value = read_json(manifest)
    del value["pictures"]["means"], value["pictures"]["scales"]
    manifest.write_text(json.dumps(value))
    assert Dataset.open(tmp_path / "run").pictures == data.pictures


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        ("potion, red:0.5,cat:0.5", {"potion, red": 0.5, "cat": 0.5}),
        ("cat:1, potion, red:3", {"cat": 0.25, "potion, red": 0.75}),
        ("a:b:1,a:1", {"a:b": 0.5, "a": 0.5}),
        ("16:9:1,cat:1", {"16:9": 0.5, "cat": 0.5}),
        ("cafe\u0301", {"caf\u00e9": 1}),  # e and an accent, for é in one character
        ("caf\u00e9:1,no\u0308:1", {"caf\u00e9": 0.5, "no\u0308": 0.5}),
    ],
)
def test_labels_with_the_signs_of_the_grammar(value: str, weights: dict[str, float]) -> None:
    names = ("potion, red", "potion", "cat", "a", "a:b", "16:9", "caf\u00e9", "no\u0308")
    assert label_weights(value, names) == pytest.approx(weights)
    assert label_weights(format_label(weights), names) == pytest.approx(weights)


def test_a_label_is_not_taken_for_a_mixture() -> None:
    with pytest.raises(InputError, match="no label is called '16:10': did you mean '16:9'"):
        label_weights("16:10", ("16:9", "cat"))


def test_every_attribute_can_be_given() -> None:
    """Names and words with = in them, and in another form of Unicode."""
    records = [
        {"HP=max": 1.0, "shape": "a=b", "a=b=c": "x=y", "cre\u0300me": 0.0},
        {"HP=max": 3.0, "shape": "c", "a=b=c": "z", "cre\u0300me": 1.0},
    ]
    columns, _ = build_columns(records)
    pictures = with_attributes(Pictures("RGB", 8, 8), columns)
    names = attribute_names(pictures)
    assert names == {"HP=max": (), "shape": ("a=b", "c"), "a=b=c": ("x=y", "z"), "cr\u00e8me": ()}
    for text, row in (
        ("HP=max=3", [1, 0, 0, 0, 0, 0]),
        ("HP=max = 1", [-1, 0, 0, 0, 0, 0]),
        ("shape=a=b", [0, 1, 0, 0, 0, 0]),
        ("a=b=c=x=y", [0, 0, 0, 1, 0, 0]),
        ("cr\u00e8me=1", [0, 0, 0, 0, 0, 1]),
    ):
        assert encode_attributes(parse_attributes([text], names), pictures).tolist() == row


@pytest.mark.parametrize("word", ["007", "1.50", "NaN", "inf", "1e5", "7"])
def test_words_that_look_like_numbers_can_be_asked_for(word: str) -> None:
    columns, _ = build_columns([{"code": word}, {"code": "x9"}])
    pictures = with_attributes(Pictures("RGB", 8, 8), columns)
    row = encode_attributes(parse_attributes([f"code={word}"]), pictures)
    assert row[[c.word for c in columns].index(word)] == 1 and row.sum() == 1
