"""The numbers and pictures of each chapter are those of the library."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noisette.config import CHOICES
from noisette.edit.explain import (
    added,
    asked,
    growing,
    jump,
    meaning,
    network,
    noising,
    originals,
    question,
    reverse,
    solvers,
    sphere,
    worth,
)  # fmt: skip
from noisette.edit.explain.subject import LEVELS, Subject, subject
from noisette.edit.generate import ends, generate, start
from noisette.edit.steps import About, Measured, Report, Way
from noisette.errors import InputError
from noisette.metrics.distribution import Fidelity
from noisette.metrics.interval import Interval
from noisette.metrics.memorisation import memorisation
from noisette.model import PictureModel
from noisette.nn.unet import UNet, UNetConfig
from noisette.noise import Seeded
from noisette.oracle import FiniteSet, Gaussian
from noisette.parametrization import Epsilon, Flow, Parametrization, V
from noisette.sampler import DDPM, sample
from noisette.schedule import Cosine, LinearBeta, RectifiedFlow, Schedule, ZeroTerminalSNR
from noisette.viz.curves import curves
from noisette.viz.png import read_png
from noisette.viz.strip import tiles as cut
from tiny_models import tiny


def drawn(told: Subject, n: int, **changes: object) -> torch.Tensor:
    """As `noisette sample` draws."""
    model, steps = told.model, changes.get("steps")
    grid = model.grid(steps, "karras" if steps else None)
    seeds = changes.get("seeds", range(told.seed, told.seed + n))
    walk = generate(
        model, seeds, changes.get("cond", told.condition(n)), model.sampler(changes.get("sampler")), grid,
        changes.get("guidance", 1.0),
    )  # fmt: skip
    return ends(walk, grid)


# ── the subject ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_picture_is_one_of_the_run(told: Subject, run: Path) -> None:
    file = next(f for f in told.data.train.files if f.name == told.picture)
    assert file.label == told.label
    assert torch.equal(told.x0[0], told.data.train.x0(torch.tensor([told.data.train.files.index(file)]))[0])
    assert subject(run, seed=1).picture == told.picture
    other = subject(run, "tool")
    assert other.label == "tool" and other.picture.startswith("tool/")
    with pytest.raises(InputError, match="no label"):
        subject(run, "dragon")


def test_a_bare_model_shows_its_own_picture(bare: Subject) -> None:
    torch.testing.assert_close(bare.x0, drawn(bare, 1).clamp(-1, 1))
    assert bare.data is None and bare.run is None and bare.label is None


def test_levels_are_noise_levels(told: Subject) -> None:
    for (name, t), (same, ratio) in zip(told.levels, LEVELS, strict=True):
        assert name == same
        assert float(told.schedule.ratio(t)) == pytest.approx(ratio)


# ── chapters ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_noised_is_the_forward_process(told: Subject) -> None:
    t = told.at(0.4)
    found = noising.noised(told, t[None])
    x_t = told.schedule.diffuse(told.x0, t, Seeded([told.seed]))
    alpha, sigma = told.schedule(t)
    scaled = x_t / (alpha**2 + sigma**2).sqrt().float()
    assert torch.equal(found.pictures, told.model.pictures.decode(scaled))
    assert float(found.snr) == pytest.approx(1 / 0.4**2)


def test_the_signal_of_a_chain_is_the_product_of_its_betas() -> None:
    chain = Cosine()
    _, alpha_bar, log_snr = curves(chain, 1001)
    right = torch.cumprod(1 - chain.betas(), 0)
    torch.testing.assert_close(alpha_bar, right, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(log_snr[:-1], (right / (1 - right)).log()[:-1], rtol=1e-6, atol=1e-6)


def test_every_schedule_is_drawn(told: Subject) -> None:
    found = noising.schedules(told.schedule)
    assert next(iter(found)) == type(told.schedule).__name__
    kinds = {n for n, c in CHOICES.items() if issubclass(c, Schedule)}
    assert kinds - set(found) == {"GivenBetas"}  # which has no numbers of its own


def test_steps_and_a_jump_are_the_schedule(told: Subject) -> None:
    """Both, within what 128 draws allow: the standard error of a deviation over n values is σ/√(2n)."""
    found = jump.compared(told)
    pixels = told.x0.numel()
    for mean, deviation in (found.walked, found.jumped):
        within = 5 * found.sigma / (2 * jump.DRAWS * pixels) ** 0.5
        assert bool(((deviation - found.sigma).abs() < within).all())
        spread = found.sigma / (jump.DRAWS * float(told.x0.square().sum())) ** 0.5
        assert bool(((mean - found.alpha).abs() < 5 * spread).all())
    assert not torch.equal(*found.pictures)


def test_the_answer_is_the_models(told: Subject) -> None:
    times = torch.stack([t for _, t in told.levels])
    found = question.asked(told, times)
    alpha, sigma = told.schedule(times)
    put_together = alpha[:, None, None, None] * found.x0 + sigma[:, None, None, None] * found.eps_hat
    torch.testing.assert_close(put_together.float(), found.x_t, rtol=1e-4, atol=1e-4)
    for i, t in enumerate(times):
        alone = told.model.given(told.condition(1))(found.x_t[i : i + 1], t)
        torch.testing.assert_close(found.x0[i : i + 1], alone.x0, rtol=1e-4, atol=1e-5)
    off, _ = question.errors(found, told.x0)
    torch.testing.assert_close(off[1], (found.x0[1] - told.x0[0]).square().mean().sqrt())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"patch": 2, "channels": (8, 16)},
        {"resample": "block", "channels": (8, 8, 16), "blocks": 2, "attention": (True, False, False)},
    ],
)
def test_the_network_is_drawn_as_it_is(changes: dict[str, object]) -> None:
    """What the drawing says of each feature map is what a hook on it sees, and bridges carry what is joined."""
    told = {"channels": (8, 16), "groups": 4, "time_channels": 8, "attention": (False, True), "blocks": 1} | changes
    net = UNet(UNetConfig(**told)).eval()
    every = network.stages(net.cfg, 9, 14)
    with network.listening(net, [s.name for s in every]) as maps, torch.no_grad():
        net(torch.randn(1, 3, 9, 14), torch.zeros(1))
    for stage in every:
        assert tuple(maps[stage.name].shape) == (1, stage.channels, stage.height, stage.width), stage
    into = {s.skips_to: s for s in every if s.skips_to is not None}
    for i, stage in enumerate(every):
        if stage.part == "up" and ".blocks." in stage.name:
            ins = net.get_submodule(stage.name).res.norm1.weight.numel()
            assert ins == every[i - 1].channels + into[i].channels
            assert (into[i].height, into[i].width) == (stage.height, stage.width)
    assert all(not m._forward_hooks for m in net.modules())


def test_the_strongest_channels_vary_most() -> None:
    features = torch.randn(1, 6, 4, 4) * torch.tensor([1.0, 5, 0, 2, 9, 3])[:, None, None]
    picked, grey = network.strongest(features, 3)
    assert set(picked) == {1, 4, 5} and picked[0] == 4
    assert grey.shape == (3, 1, 4, 4)
    torch.testing.assert_close(grey.float().mean((1, 2, 3)), torch.full((3,), 127.5), atol=1.0, rtol=0)


def test_every_step_of_the_walk(told: Subject) -> None:
    steps = 6
    found = reverse.walked(told, steps)
    grid = told.model.grid(steps)
    assert found.times == grid.tolist()
    begun, _ = start(told.model, [told.seed], grid)
    assert torch.equal(found.noisy[:1], told.shown(begun.x, grid[0]))
    end = ends(generate(told.model, [told.seed], told.condition(1), told.model.sampler(), grid), grid)
    for pictures in (found.noisy, found.clean):
        assert torch.equal(pictures[-1:], told.shown(end))


def test_without_noise_walks_fall_together(told: Subject) -> None:
    found = added.collapse(told, pictures=3, steps=5)
    torch.testing.assert_close(found.pictures["ddpm-no-noise"], drawn(told, 3, steps=5, sampler="ddpm-no-noise"))
    x = found.pictures["ddpm"].double()
    assert found.variety("ddpm") == pytest.approx(float(x.var(0, correction=0).mean().sqrt()))


def test_the_collapse_is_to_the_average() -> None:
    """Where everything is known: pictures N(0.3, 0.5²). With the noise they have that deviation; without it, none."""
    exact = Gaussian(Cosine(), torch.tensor(0.3), torch.tensor(0.5))
    grid = torch.linspace(1, 0, 201, dtype=torch.float64)
    x, noise = torch.randn(64, 1, 8, 8), Seeded(range(64))
    with_noise, without = (sample(exact, DDPM(added=a), grid, x, noise) for a in (1.0, 0.0))
    assert float(with_noise.std()) == pytest.approx(0.5, rel=0.05)
    assert float(without.std()) < 0.1 * float(with_noise.std())
    assert float(without.mean()) == pytest.approx(0.3, abs=0.02)


def test_samplers_race_from_one_noise(told: Subject) -> None:
    found = solvers.raced(told, steps=(3,), pictures=1)
    assert set(found.pictures) == {(s, 3) for s in solvers.SAMPLERS} | {solvers.REFERENCE}
    torch.testing.assert_close(found.pictures["ipndm", 3], drawn(told, 1, steps=3, sampler="ipndm"))
    assert found.off(*solvers.REFERENCE) == 0
    apart = found.pictures["ddim", 3].double() - found.pictures[solvers.REFERENCE].double()
    assert found.off("ddim", 3) == pytest.approx(float(apart.norm()) / apart.numel() ** 0.5)


def test_growth_is_what_the_run_left(told: Subject, run: Path) -> None:
    found = growing.grown(run / "samples", told.model.pictures)
    paths = sorted((run / "samples").glob("*.png"))
    assert found.images == [int(p.stem) for p in paths] and len(paths) >= 2
    pixels, said = read_png(paths[-1])
    assert torch.equal(found.pictures[-1], cut(pixels, int(said["columns"]), told.model.pictures))


def test_wishes_are_what_is_drawn(told: Subject) -> None:
    found = asked.wishes(told, seeds=3)
    model, seeds = told.model, range(told.seed, told.seed + 3)
    assert found.labels == list(model.pictures.labels)
    for i, label in enumerate(found.labels):
        right = drawn(told, 3, cond=model.condition(label, 3), seeds=seeds)
        torch.testing.assert_close(found.by_label[3 * i : 3 * i + 3], right, rtol=1e-4, atol=1e-4)
    first, other = (model.condition(name, 1) for name in found.pair)
    for i, cond in ((0, first), (-1, other)):  # the ends of the way between two labels are the labels
        right = drawn(told, 1, cond=cond, seeds=[told.seed])
        torch.testing.assert_close(found.mixed[: len(asked.SHARES)][i : i + 1 or None], right, rtol=1e-4, atol=1e-4)
    guided = found.guided.split(3)
    cond = model.condition(found.pair[0], 3)
    for scale, pictures in zip(asked.SCALES, guided, strict=True):
        right = drawn(told, 3, cond=cond, guidance=scale)
        torch.testing.assert_close(pictures, right, rtol=1e-4, atol=1e-4)


def test_the_nearest_is_the_nearest(told: Subject) -> None:
    found = originals.nearest(told, 3)
    every = told.data.train.pixels(torch.arange(len(told.data.train)))
    right = memorisation(found.samples, every)
    assert torch.equal(found.training, every[right.nearest]) and torch.equal(found.found.distance, right.distance)


def test_errors_of_model_and_optimum(told: Subject) -> None:
    """At little noise who knows the training pictures by heart makes no error on them, and a large one elsewhere."""
    found = originals.errors(told, 4, (0.05, 5.0))
    assert float(found.optimum["training"][0]) < 1e-6 < float(found.optimum["held-out"][0])
    x0, cond = told.held_out(4)
    t, noise = told.at(5.0), Seeded([told.seed * len(x0) + i for i in range(len(x0))])
    x_t = told.schedule.diffuse(x0, t, noise)
    train = told.data.train
    oracle = FiniteSet(told.schedule, train.x0(torch.arange(len(train))))
    for denoise, measured in ((told.model.given(cond.null()), found.model), (oracle, found.optimum)):
        right = (denoise(x_t, t).x0 - x0).double().square().mean()
        torch.testing.assert_close(measured["held-out"][1], right)


def test_a_great_circle(told: Subject) -> None:
    """Through both noises and their opposites, on the sphere all the way, in small steps."""
    one, other = (Seeded([i])(told.x0) for i in (0, 1))
    points = sphere.circle(one, other, 12)
    for i, right in ((0, one), (3, other), (6, -one), (9, -other)):
        torch.testing.assert_close(points[i : i + 1], right, rtol=1e-5, atol=1e-5)
    lengths = points.flatten(1).norm(dim=1)
    ends_ = (float(one.norm()), float(other.norm()))
    assert min(ends_) * 0.98 < float(lengths.min()) <= float(lengths.max()) < max(ends_) * 1.02
    both = torch.cat([one, other]).flatten(1)
    flat = points.flatten(1)
    off = flat - torch.linalg.lstsq(both.T, flat.T).solution.T @ both  # from the plane of the two
    assert float(off.abs().max()) < 1e-4


def test_walks_from_the_circle(told: Subject) -> None:
    found, seeds = sphere.walked(told, points=4, steps=4), [told.seed, told.seed + 1]
    right = drawn(told, 2, seeds=seeds, sampler="heun", steps=4)
    for i, shown in enumerate(told.shown(right)):
        assert len(found.pictures[i]) == 5
        assert (found.pictures[i][-1] != shown).float().mean() < 0.02  # another batch may move a byte by one
    between = sphere.ways(told, (0.0, 0.5, 1.0), 4)
    torch.testing.assert_close(between.pictures["straight line"][[0, 2]], right, rtol=1e-3, atol=1e-3)
    straight, around = between.lengths["straight line"], between.lengths["great circle"]
    assert straight[1] < 0.85 and around[1] > 0.9 and straight[0] == pytest.approx(around[0])


def test_the_plane_of_the_bottleneck(told: Subject) -> None:
    """Along its components samples have mean 0 and deviation 1, and the two have nothing to do with each other."""
    found = meaning.plane(told, 12, 3)
    torch.testing.assert_close(found.at.mean(0), torch.zeros(2).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.at.T.cov(), torch.eye(2).double(), atol=1e-4, rtol=0)
    assert found.labels[:3] == ["food", "tool", "food"]
    labels = meaning.apart(told, 1, 2, 3)
    assert [d.name for d in labels] in (["food"], ["tool"])
    assert len(meaning.apart(told, 5, 2, 3)) == 2
    effects, sliders = meaning.moved(told, found.directions, 2, 3)
    assert [e.name for e in effects] == [d.name for d in found.directions]
    middle = sliders[0].unflatten(0, (5, 2))[2]
    torch.testing.assert_close(middle, drawn(told, 2, sampler="ddim", steps=3), rtol=1e-4, atol=1e-4)


def test_what_was_measured_is_shown(told: Subject, tmp_path: Path) -> None:
    about = About(told.model.hash, "data", 20, 100, 0, 1.0, "net")
    fidelity = Fidelity(0.5, 0.5, 0.5, 0.5)
    rows = tuple(
        Measured(Way("heun", "karras", n), 2 * n - 1, 0.1, Interval(k, k - 1, k + 1), (k, k + 0.1), fidelity)
        for n, k in ((4, 90.0), (8, 12.5), (16, 12.4))
    )  # fmt: skip
    Report(about, None, (), rows).write(tmp_path / "steps.json")
    assert worth.measurements(tmp_path, told.model.hash).rows == rows
    assert worth.measurements(tmp_path, "another") is None
    page = worth.chapter(replace(told, path=tmp_path))
    assert "heun on the karras grid in 8 steps" in page and "KID 12.5" in page
    assert "has not been measured" in worth.chapter(told)


# ── what cannot be told ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_seed_gives_one_page(bare: Subject) -> None:
    """And a model folder alone, grey and oblong, can tell most of it."""
    again = subject(bare.path, seed=bare.seed)
    for chapter in (noising.chapter, jump.chapter, question.chapter, network.chapter, reverse.chapter):
        assert chapter(bare) == chapter(again)
        assert "<figcaption>" in chapter(again)
    assert "drawn by the model itself, seed 0" in noising.chapter(bare)


@pytest.mark.parametrize(
    ("schedule", "parametrization"),
    [(LinearBeta(), Epsilon()), (RectifiedFlow(), Flow()), (ZeroTerminalSNR(), V())],
)
def test_every_process_can_be_told(schedule: Schedule, parametrization: Parametrization, tmp_path: Path) -> None:
    """A chain, a flow, and a chain that ends in noise alone: no number is lost on the way."""
    config = replace(tiny("L", ()).config, schedule=schedule, parametrization=parametrization)
    PictureModel(config).save_pretrained(tmp_path / "model")
    other = subject(tmp_path / "model")
    for chapter in (noising.chapter, jump.chapter, question.chapter, reverse.chapter):
        assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"')]+", "", chapter(other)))


@pytest.mark.parametrize("chapter", [growing.chapter, asked.chapter, originals.chapter])
def test_what_a_model_has_not_is_said_in_one_line(bare: Subject, chapter) -> None:
    told = chapter(bare)
    assert told.startswith("<p>") and told.count("<p") == 1
    assert "needs the run folder" in told or "without labels" in told


def test_a_run_in_a_notebook(run: Path) -> None:
    from noisette.edit.notebook import html
    from noisette.edit.run import Run

    found = Run(run)
    told = html(found)
    assert "24, finished" in told and "held-out loss" in told and told.count("<img") >= 12
    assert torch.equal(found.samples.pixels, growing.grown(run / "samples", found.pictures).pictures[-1])
    assert found.samples.names[:2] == ("food", "tool") and found.model.pictures.shape == found.pictures.shape
    (run / "model").rename(run / "away")  # while it still trains, its newest checkpoint is its model
    try:
        assert Run(run).model.hash != found.model.hash
    finally:
        (run / "away").rename(run / "model")
