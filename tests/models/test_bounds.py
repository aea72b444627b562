"""Every count has a bound, which is checked before anything of that size is made; weights are compared with it."""

from pathlib import Path
from typing import Any

import pytest

import noisette
from clock import limited
from noisette.data.pictures import Pictures, TextEncoderInfo
from noisette.errors import InputError, lookup, suggest_names
from noisette.io.json_files import read_json, write_json
from noisette.io.units import parse_count, parse_duration
from noisette.models.classifier import PictureClassifier
from noisette.models.config import SamplingDefaults, describe_network, from_json, to_json
from noisette.models.registry import CONFIG_CLASSES
from noisette.nn.architecture import MAX_BLOCKS, MAX_LEVELS, MAX_WIDTH, UNetConfig
from noisette.sampling.record import SampleRecord
from noisette.sampling.request import make_request
from noisette.training.plan import TrainOptions
from noisette.training.recipes.recipe import TrainingConfig
from tiny_models import make_classifier, tiny

RECORD = SampleRecord(model="0" * 64, sampler="heun", grid="karras", steps=4, guidance=1.0, batch=1, seed=0)
VALUES = [
    *(cls() for cls in CONFIG_CLASSES.values()), SamplingDefaults(), Pictures(), TextEncoderInfo("x", "0", 8, 4),
    RECORD, TrainOptions(images=1), TrainingConfig(),
]  # fmt: skip
HUGE = 10**13


def with_huge_counts(value: object) -> list[tuple[str, Any]]:
    """The value as JSON, once for each of its whole numbers, which is huge in it."""
    data = to_json(value)
    counts = [k for k, v in data.items() if type(v) is int] + [k for k in ("images", "batch") if data.get(k, 0) is None]
    lists = [k for k, v in data.items() if isinstance(v, list) and v and type(v[0]) is int]
    made = [(k, data | {k: HUGE}) for k in counts if k != "seed"]
    return made + [(k, data | {k: [HUGE] * len(data[k])}) for k in lists]


CASES = [(type(v), name, data) for v in VALUES for name, data in with_huge_counts(v)]


@pytest.mark.parametrize(("cls", "name", "data"), CASES, ids=[f"{c.__name__}.{n}" for c, n, _ in CASES])
def test_every_count_of_every_config_has_a_bound(cls: type, name: str, data: dict[str, Any]) -> None:
    with limited(0.5), pytest.raises(InputError):
        from_json(cls, data)


def test_counts_are_found() -> None:
    assert {"UNetConfig", "DiTConfig", "Cosine", "Steps", "Upscale", "SampleRecord"} <= {
        c.__name__ for c, _, _ in CASES
    }
    assert len(CASES) > 60


def test_the_largest_network_is_described_in_no_time_and_no_memory() -> None:
    levels = MAX_LEVELS
    net = UNetConfig(channels=(MAX_WIDTH,) * levels, blocks=MAX_BLOCKS, attention=(False,) * levels)
    with limited(10):
        tensors = describe_network(net)
    assert sum(t.numel() for t in tensors.values()) > 10**12 and all(t.device.type == "meta" for t in tensors.values())


@pytest.mark.parametrize("kind", ["model", "classifier"])
def test_a_network_is_not_built_before_its_weights_fit(tmp_path: Path, kind: str) -> None:
    model = tiny() if kind == "model" else make_classifier(tiny())
    model.save_pretrained(tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    data = read_json(path)
    net = data["model"]["net"] if kind == "model" else data["classifier"]["net"]["encoder"]
    net["channels"], net["groups"] = [12000, 12000], 1  # 60 GB
    write_json(path, data)
    reader = noisette.load if kind == "model" else PictureClassifier.from_pretrained
    sizes = r"model\.safetensors has [\d,.]+ (kB|bytes), and the network .* needs [\d.]+ GB"
    with limited(2), pytest.raises(InputError, match=sizes):
        reader(tmp_path / "m")


def test_weights_that_are_too_large_are_not_read(tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path / "m")
    with (tmp_path / "m" / "model.safetensors").open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match="belongs to another model"):
        noisette.load(tmp_path / "m")


def test_a_part_of_a_series_is_what_it_is_in_the_whole() -> None:
    model = tiny()
    whole = make_request(model, 10, seed=5, steps=2, attributes=None)
    part = make_request(model, 4, seed=5, steps=2, first=3)
    assert part.lineages == whole.lineages[3:7] and part.labels == whole.labels[3:7]
    for wrong in ({"n": HUGE}, {"steps": HUGE}, {"seed": 2**64}, {"batch": HUGE}, {"first": -1}):
        with pytest.raises(InputError):
            make_request(model, **{"n": 1} | wrong)


def test_numbers_of_any_length_are_refused() -> None:
    for text in ("9" * 5000, "9" * 30, "1." + "9" * 5000):
        with pytest.raises(InputError):
            parse_count(text)
        with pytest.raises(InputError):
            parse_duration(f"{text}s")


def test_a_name_of_any_length_costs_little() -> None:
    name = "a" * 10_000_000
    with limited(2):
        with pytest.raises(InputError) as raised:
            lookup(name, {"heun": 1}, "sampler")
        suggest_names("heum", [f"{i}{'heun' * 50}" for i in range(100_000)])
        suggest_names("heum", [f"heun{i}" for i in range(100_000)])
    assert len(str(raised.value)) < 500
    assert len(str(InputError("x" * 10_000_000))) == 2000


def test_unknown_keys_of_a_config_are_named(tmp_path: Path) -> None:
    """The name of the checksum, damaged, would else leave a config without one."""
    tiny().save_pretrained(tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    path.write_text(path.read_text().replace('"sha256"', '"sha257"', 1))
    with pytest.raises(InputError, match="must have the key 'model' and no other, got sha257, model"):
        noisette.load(tmp_path / "m")
