import json

import pytest

from noisette.errors import InputError
from noisette.io.metrics_log import read_metrics, read_metrics_file

ROW = {"images": 8, "loss": 1.0}
LAST = {"images": 16, "loss": 0.5}
DAMAGED = {
    "cut off by a crash": b'{"images": 12, "lo',
    "empty": b"",
    "not UTF-8": b'{"images": 12, "loss": "\xff\xfe"}',
    "zero bytes left by a file system": b"\x00" * 16,
    "a number": b"7",
    "a list": b'[{"images": 12}]',
    "without the number of images": b'{"loss": 1.0}',
    "a number of images that is none": b'{"images": "12"}',
    "nested too deeply": b"[" * 100_000,
    "a loss that is text": b'{"images": 12, "loss": "low"}',
    "a loss that no float can hold": b'{"images": 12, "loss": 1' + b"0" * 400 + b"}",
    "an infinite number of images": b'{"images": Infinity, "loss": 1.0}',
    "a held-out loss without the mean": b'{"images": 12, "held_out": {"alm": 1.0}}',
    "a gap without the losses": b'{"images": 12, "gap": {"value": 1.0, "error": 0.1}}',
    "an evaluation without copies": b'{"images": 12, "evaluation": {"samples": 64, "kid": null, "real_kid": null}}',
    "two rows run together": b'{"images": 10}{"images": 12}',
}


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED.keys())
@pytest.mark.parametrize("at_end", [True, False], ids=["last line", "middle"])
def test_damaged_lines_are_skipped(tmp_path, line: bytes, at_end: bool) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [json.dumps(row).encode() for row in (ROW, LAST)]
    path.write_bytes(b"\n".join([*rows, line] if at_end else [rows[0], line, rows[1], b""]))
    assert read_metrics(path) == [ROW, LAST]
    assert read_metrics_file(path).damaged == ((3 if at_end else 2,) if line else ())


def test_unicode_separators_and_windows_line_ends_do_not_split_rows(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes('{"images": 1, "text": "a\u2028b\u0085c"}\r\n{"images": 2}\r\n'.encode())
    assert read_metrics(str(path)) == [{"images": 1, "text": "a\u2028b\u0085c"}, {"images": 2}]


def test_a_file_that_does_not_exist_has_no_rows(tmp_path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []
    with pytest.raises(InputError, match="cannot read"):
        read_metrics(tmp_path)


def test_rows_of_earlier_versions_have_todays_keys(tmp_path) -> None:
    interval = {"value": 1.0, "low": 0.5, "high": 2.0}
    former = [
        {
            "images": 8,
            "checkup": {
                "samples": 64,
                "kid": interval,
                "floor": interval,
                "copies": interval,
                "expected": interval,
                "drift": {"brightness": {"grey": {"value": 0.1, "error": 0.0}}, "contrast": {}},
            },
        },
        {"images": 8, "held_out": {"all": 1.0}, "seen": {"all": 0.9}, "plain": {"all": 1.1, "average": 1.0}},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in former))
    assert read_metrics(path) == [
        {
            "images": 8,
            "evaluation": {
                "samples": 64,
                "kid": interval,
                "real_kid": interval,
                "copies": interval,
                "held_out_copies": interval,
                "drift": {"brightness": {"gray": {"value": 0.1, "error": 0.0}}, "contrast": {}},
            },
        },
        {"images": 8, "held_out": {"all": 1.0}, "train": {"all": 0.9}, "raw_weights": {"all": 1.1, "ema": 1.0}},
    ]
