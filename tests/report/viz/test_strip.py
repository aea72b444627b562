import pytest
import torch
from PIL import Image

from noisette.data.contact_sheet import LabeledRow, labeled_sheet
from noisette.data.pictures import Pictures
from noisette.data.png import from_image
from noisette.diffusion.denoiser import Prediction
from noisette.diffusion.grid import karras, trailing
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import DDIM, Heun, State, trajectory
from noisette.diffusion.schedule import Cosine, VarianceExploding
from noisette.errors import InputError
from noisette.models.codec import Codec
from noisette.report.viz.animation import write_film
from noisette.report.viz.strip import (
    collect_frames,
    denoising_strip,
    evenly_spaced,
    format_short,
    frame_strip,
    split_sheet,
)
from noisette.training.sample_sheets import make_sheet

PICTURES = Pictures("RGB", 8, 8)
TARGET = torch.linspace(-1, 1, 192).reshape(1, 3, 8, 8)


class Knows:
    """A denoiser of a data set of one picture."""

    def __init__(self, schedule) -> None:
        self.schedule = schedule

    def __call__(self, x, t) -> Prediction:
        alpha, sigma = self.schedule.at(t, x)
        return Prediction(TARGET.expand_as(x), (x - alpha * TARGET) / sigma)


@pytest.mark.parametrize("schedule", [VarianceExploding(), Cosine()])
@pytest.mark.parametrize("sampler", [Heun(), DDIM()])
def test_frames_pair_x_t_with_the_prediction_for_it(schedule, sampler) -> None:
    grid = karras(schedule, 6) if isinstance(schedule, VarianceExploding) else trailing(6)
    noise = Seeded([1, 2])
    x = noise(torch.empty(2, 3, 8, 8)) * schedule(grid[0])[1].float()
    start = State(x, grid[0])
    found = collect_frames(
        start, trajectory(Knows(schedule), sampler, grid, x, noise), schedule, Codec(PICTURES), index=1
    )
    assert [m.noise_ratio for m in found] == pytest.approx(schedule.ratio(grid).tolist())
    true = PICTURES.decode(TARGET)
    assert all((m.x0.int() - true.int()).abs().max() <= 1 for m in found)  # one picture: seen at once
    unit = x[1:] / (schedule(grid[0])[0] ** 2 + schedule(grid[0])[1] ** 2).sqrt().float()
    assert torch.equal(found[0].x_t, PICTURES.decode(unit))
    assert (found[-1].x_t.int() - true.int()).abs().max() <= 1
    assert torch.equal(found[-1].x_t, found[-1].x0)


def test_a_strip_shows_first_and_last() -> None:
    schedule, grid = VarianceExploding(), karras(VarianceExploding(), 30)
    noise = Seeded([1])
    x = noise(torch.empty(1, 3, 8, 8)) * 80
    found = collect_frames(
        State(x, grid[0]), trajectory(Knows(schedule), Heun(), grid, x, noise), schedule, Codec(PICTURES)
    )
    image = denoising_strip(found, "title", columns=5)
    picked = [found[i] for i in evenly_spaced(5, len(found))]
    assert len(found) == 31 and len(picked) == 5 and picked[0] is found[0] and picked[-1] is found[-1]
    rows = [
        LabeledRow("x_t", torch.cat([m.x_t for m in picked])),
        LabeledRow("predicted x0", torch.cat([m.x0 for m in picked])),
    ]
    assert torch.equal(
        from_image(image), from_image(labeled_sheet(rows, "title", [format_short(m.noise_ratio) for m in picked]))
    )


def test_evenly_spaced_indices_are_distinct_and_include_both_ends() -> None:
    assert evenly_spaced(5, 3) == [0, 1, 2]
    assert evenly_spaced(3, 101) == [0, 50, 100]
    for number in range(2, 12):
        for of in range(number, 60):
            picked = evenly_spaced(number, of)
            assert len(set(picked)) == number and picked[0] == 0 and picked[-1] == of - 1 and picked == sorted(picked)


def test_tiles_undo_the_runs_sheets() -> None:
    pictures = Pictures("RGBA", 8, 12)
    drawn = torch.randint(0, 256, (16, 4, 8, 12), dtype=torch.uint8)
    assert torch.equal(split_sheet(make_sheet(drawn, 4), 4, pictures), drawn)
    for bad in (Pictures("RGB", 8, 12), Pictures("RGBA", 8, 8), Pictures("RGBA", 12, 12)):
        with pytest.raises(InputError, match="does not hold"):
            split_sheet(make_sheet(drawn, 4), 4, bad)


def test_a_contact_sheet_has_a_row_for_each_noise() -> None:
    sheets = [torch.full((4, 3, 8, 8), k, dtype=torch.uint8) for k in range(3)]
    image = frame_strip(sheets, ["0", "1k", "2k"], ["a", "b"])
    shades = {c[0] for _, c in image.getcolors(10**6) if c[0] == c[1] == c[2]}
    assert {0, 1, 2} <= shades
    tall = frame_strip(sheets, ["0", "1k", "2k"], ["a"])
    assert image.height - tall.height == 8 * 6 + 6  # as many rows as captions


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.0021, "0.0021"), (0.384, "0.38"), (0.999, "1.0"), (1, "1"), (9.94, "9.9"), (12.3, "12"), (80, "80"),
     (999, "999"), (1200, "1.2k"), (99_700, "100k"), (812_000, "812k"), (999_600, "1M"), (3.4e6, "3.4M"),
     (float("inf"), "inf")],
)  # fmt: skip
def test_numbers_in_short_form(number: float, text: str) -> None:
    assert format_short(number) == text


@pytest.mark.parametrize(("name", "kind"), [("a.gif", "GIF"), ("a.png", "PNG")])
def test_films_play(tmp_path, name: str, kind: str) -> None:
    frames = []
    for k in range(4):
        frame = Image.new("RGBA", (16, 8), (60 * k, 0, 0, 255))
        frame.putpixel((k, 0), (0, 0, 0, 0))
        frames.append(frame)
    write_film(tmp_path / name, frames, duration=100, hold=900)
    with Image.open(tmp_path / name) as film:
        assert film.format == kind and film.n_frames == 4 and film.info["loop"] == 0
        times = []
        for k in range(4):
            film.seek(k)
            times.append(film.info["duration"])
            seen = film.convert("RGBA")
            assert seen.getpixel((10, 5))[:3] == (60 * k, 0, 0)
            assert seen.getpixel((k, 0))[3] == (255 if kind == "GIF" else 0)
    assert times == [100, 100, 100, 900]


def test_films_that_cannot_be(tmp_path) -> None:
    with pytest.raises(InputError, match=r"\.gif"):
        write_film(tmp_path / "a.avi", [Image.new("RGB", (8, 8))])
    with pytest.raises(InputError, match="at least one frame"):
        write_film(tmp_path / "a.gif", [])
    assert list(tmp_path.iterdir()) == []
