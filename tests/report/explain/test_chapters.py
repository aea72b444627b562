"""The numbers and pictures of each chapter are those of the library."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noisette.data.png import read_png
from noisette.diffusion.noise import Seeded
from noisette.diffusion.oracle import EmpiricalDenoiser, GaussianDenoiser
from noisette.diffusion.parametrization import Epsilon, Flow, Parametrization, V
from noisette.diffusion.sampler import DDPM, sample
from noisette.diffusion.schedule import Cosine, LinearBeta, RectifiedFlow, Schedule, ZeroTerminalSNR
from noisette.errors import InputError
from noisette.evaluation.metrics.distribution import PRDC
from noisette.evaluation.metrics.interval import ConfidenceInterval
from noisette.evaluation.metrics.memorization import measure_memorization
from noisette.evaluation.steps import Measurement, MeasurementSettings, SamplerSetting, StepsReport
from noisette.models.picture_model import PictureModel
from noisette.models.registry import CONFIG_CLASSES
from noisette.nn.unet import UNet, UNetConfig
from noisette.report.explain import added_noise as added  # fmt: skip
from noisette.report.explain import closed_form as jump
from noisette.report.explain import conditioning, network, solvers
from noisette.report.explain import distillation as distilled
from noisette.report.explain import forward_process as noising
from noisette.report.explain import interpolation as sphere
from noisette.report.explain import memorization as originals
from noisette.report.explain import prediction as question
from noisette.report.explain import reverse_process as reverse
from noisette.report.explain import semantic_directions as meaning
from noisette.report.explain import tradeoff as worth
from noisette.report.explain import training_progress as growing
from noisette.report.explain.subject import NOISE_LEVELS, Subject, load_subject
from noisette.report.viz.chart import schedule_curves
from noisette.report.viz.strip import split_sheet as cut
from noisette.sampling.generate import final_samples, generate, initial_state
from tiny_models import tiny


def drawn(subject: Subject, n: int, **changes: object) -> torch.Tensor:
    """As `noisette sample` draws."""
    model, steps = subject.model, changes.get("steps")
    grid = model.grid(steps, changes.get("grid", "karras" if steps else None))
    seeds = changes.get("seeds", range(subject.seed, subject.seed + n))
    walk = generate(
        model, seeds, changes.get("cond", subject.condition(n)), model.sampler(changes.get("sampler")), grid,
        changes.get("guidance", 1.0),
    )  # fmt: skip
    return final_samples(walk, grid)


# ── the subject ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_picture_is_one_of_the_run(subject: Subject, run: Path) -> None:
    file = next(f for f in subject.data.train.files if f.name == subject.picture_name)
    assert file.label == subject.label
    assert torch.equal(subject.x0[0], subject.data.train.x0(torch.tensor([subject.data.train.files.index(file)]))[0])
    assert load_subject(run, seed=1).picture_name == subject.picture_name
    other = load_subject(run, "tool")
    assert other.label == "tool" and other.picture_name.startswith("tool/")
    with pytest.raises(InputError, match="no label"):
        load_subject(run, "dragon")


def test_a_model_without_a_run_shows_its_own_picture(bare: Subject) -> None:
    torch.testing.assert_close(bare.x0, drawn(bare, 1).clamp(-1, 1))
    assert bare.data is None and bare.run is None and bare.label is None


def test_levels_are_noise_levels(subject: Subject) -> None:
    for (name, t), (same, ratio) in zip(subject.noise_levels, NOISE_LEVELS, strict=True):
        assert name == same
        assert float(subject.schedule.ratio(t)) == pytest.approx(ratio)


# ── chapters ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_noised_is_the_forward_process(subject: Subject) -> None:
    t = subject.time_at(0.4)
    found = noising.add_noise(subject, t[None])
    x_t = subject.schedule.diffuse(subject.x0, t, Seeded([subject.seed]))
    alpha, sigma = subject.schedule(t)
    scaled = x_t / (alpha**2 + sigma**2).sqrt().float()
    assert torch.equal(found.pictures, subject.model.pictures.decode(scaled))
    assert float(found.snr) == pytest.approx(1 / 0.4**2)


def test_the_signal_of_a_chain_is_the_product_of_its_betas() -> None:
    chain = Cosine()
    _, alpha_bar, log_snr = schedule_curves(chain, 1001)
    right = torch.cumprod(1 - chain.betas(), 0)
    torch.testing.assert_close(alpha_bar, right, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(log_snr[:-1], (right / (1 - right)).log()[:-1], rtol=1e-6, atol=1e-6)


def test_every_schedule_is_drawn(subject: Subject) -> None:
    found = noising.list_schedules(subject.schedule)
    assert next(iter(found)) == type(subject.schedule).__name__
    kinds = {n for n, c in CONFIG_CLASSES.items() if issubclass(c, Schedule)}
    assert kinds - set(found) == {"GivenBetas"}  # which has no numbers of its own


def test_steps_and_a_jump_are_the_schedule(subject: Subject) -> None:
    """Both, within what 128 draws allow: the standard error of a deviation over n values is σ/√(2n)."""
    found = jump.compare_forward(subject)
    pixels = subject.x0.numel()
    for mean, deviation in (found.stepwise, found.direct):
        within = 5 * found.sigma / (2 * jump.NUM_DRAWS * pixels) ** 0.5
        assert bool(((deviation - found.sigma).abs() < within).all())
        spread = found.sigma / (jump.NUM_DRAWS * float(subject.x0.square().sum())) ** 0.5
        assert bool(((mean - found.alpha).abs() < 5 * spread).all())
    assert not torch.equal(*found.pictures)


def test_predictions_are_the_models(subject: Subject) -> None:
    times = torch.stack([t for _, t in subject.noise_levels])
    found = question.predict(subject, times)
    alpha, sigma = subject.schedule(times)
    put_together = alpha[:, None, None, None] * found.x0 + sigma[:, None, None, None] * found.eps_hat
    torch.testing.assert_close(put_together.float(), found.x_t, rtol=1e-4, atol=1e-4)
    for i, t in enumerate(times):
        alone = subject.model.given(subject.condition(1))(found.x_t[i : i + 1], t)
        torch.testing.assert_close(found.x0[i : i + 1], alone.x0, rtol=1e-4, atol=1e-5)
    off, _ = question.rms_errors(found, subject.x0)
    torch.testing.assert_close(off[1], (found.x0[1] - subject.x0[0]).square().mean().sqrt())


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
    config = {"channels": (8, 16), "groups": 4, "time_channels": 8, "attention": (False, True), "blocks": 1} | changes
    net = UNet(UNetConfig(**config)).eval()
    every = network.list_stages(net.cfg, 9, 14)
    with network.record_outputs(net, [s.name for s in every]) as maps, torch.no_grad():
        net(torch.randn(1, 3, 9, 14), torch.zeros(1))
    for stage in every:
        assert tuple(maps[stage.name].shape) == (1, stage.channels, stage.height, stage.width), stage
    into = {s.skip_target: s for s in every if s.skip_target is not None}
    for i, stage in enumerate(every):
        if stage.section == "up" and ".blocks." in stage.name:
            ins = net.get_submodule(stage.name).res.norm1.weight.numel()
            assert ins == every[i - 1].channels + into[i].channels
            assert (into[i].height, into[i].width) == (stage.height, stage.width)
    assert all(not m._forward_hooks for m in net.modules())


def test_the_strongest_channels_vary_most() -> None:
    features = torch.randn(1, 6, 4, 4) * torch.tensor([1.0, 5, 0, 2, 9, 3])[:, None, None]
    picked, gray = network.top_channels(features, 3)
    assert set(picked) == {1, 4, 5} and picked[0] == 4
    assert gray.shape == (3, 1, 4, 4)
    torch.testing.assert_close(gray.float().mean((1, 2, 3)), torch.full((3,), 127.5), atol=1.0, rtol=0)


def test_every_step_of_the_trajectory(subject: Subject) -> None:
    steps = 6
    found = reverse.record_trajectory(subject, steps)
    grid = subject.model.grid(steps)
    assert found.times == grid.tolist()
    begun, _ = initial_state(subject.model, [subject.seed], grid)
    assert torch.equal(found.x_t[:1], subject.to_pixels(begun.x, grid[0]))
    end = final_samples(
        generate(subject.model, [subject.seed], subject.condition(1), subject.model.sampler(), grid), grid
    )
    for pictures in (found.x_t, found.x0):
        assert torch.equal(pictures[-1:], subject.to_pixels(end))


def test_without_added_noise_trajectories_converge(subject: Subject) -> None:
    found = added.draw_ablation(subject, number=3, steps=5)
    torch.testing.assert_close(found.pictures["ddpm-no-noise"], drawn(subject, 3, steps=5, sampler="ddpm-no-noise"))
    x = found.pictures["ddpm"].double()
    assert found.diversity("ddpm") == pytest.approx(float(x.var(0, correction=0).mean().sqrt()))


def test_without_added_noise_samples_collapse_to_the_mean() -> None:
    """Where everything is known: pictures N(0.3, 0.5²). With the noise they have that deviation; without it, none."""
    exact = GaussianDenoiser(Cosine(), torch.tensor(0.3), torch.tensor(0.5))
    grid = torch.linspace(1, 0, 201, dtype=torch.float64)
    x, noise = torch.randn(64, 1, 8, 8), Seeded(range(64))
    with_noise, without = (sample(exact, DDPM(noise_scale=a), grid, x, noise.fresh()) for a in (1.0, 0.0))
    assert float(with_noise.std()) == pytest.approx(0.5, rel=0.05)
    assert float(without.std()) < 0.1 * float(with_noise.std())
    assert float(without.mean()) == pytest.approx(0.3, abs=0.02)


def test_samplers_race_from_one_noise(subject: Subject) -> None:
    found = solvers.compare_solvers(subject, steps=(3,), number=1)
    assert set(found.pictures) == {(s, 3) for s in (*solvers.SAMPLERS, solvers.OWN)} | {solvers.REFERENCE}
    own = subject.model.config.sampling
    torch.testing.assert_close(
        found.pictures[solvers.OWN, 3], drawn(subject, 1, steps=3, sampler=own.sampler, grid=own.grid)
    )
    torch.testing.assert_close(found.pictures["ipndm", 3], drawn(subject, 1, steps=3, sampler="ipndm"))
    assert found.rms_distance(*solvers.REFERENCE) == 0
    apart = found.pictures["ddim", 3].double() - found.pictures[solvers.REFERENCE].double()
    assert found.rms_distance("ddim", 3) == pytest.approx(float(apart.norm()) / apart.numel() ** 0.5)


def test_a_student_beside_its_teacher(student: Subject) -> None:
    """Both begin in the same states; the student ends in its samples, the teacher where it was learned from."""
    learned = distilled.load_trajectories(student)
    assert learned is not None
    found = distilled.compare_trajectories(student, learned, 3)
    marked = found.teacher[list(found.marks)]
    assert torch.equal(found.fine[list(found.marks)], found.times)
    assert len(found.times) == 3 and len(found.fine) == len(found.teacher) > 6
    for states in (found.student, found.untrained):
        torch.testing.assert_close(states[0], found.teacher[0])
    torch.testing.assert_close(found.student[-1], drawn(student, 3, sampler="ddim"))
    torch.testing.assert_close(marked.transpose(0, 1), learned([1, 2, 3], student.condition(3)))
    assert found.distances(marked) == [0, 0, 0]
    assert found.distances(found.student)[2] == pytest.approx(
        float((found.student[2] - marked[2]).square().mean() ** 0.5)
    )
    copy = PictureModel(student.model.config, learned.teacher.prior).eval()
    copy.net.load_state_dict(learned.teacher.net.state_dict())
    same = distilled.compare_trajectories(replace(student, model=copy), learned, 3)
    assert torch.equal(same.student, same.untrained) and torch.equal(same.untrained, found.untrained)


def test_a_path_in_a_plane_keeps_its_shape() -> None:
    plane = torch.linalg.qr(torch.randn(9, 2, generator=torch.Generator().manual_seed(0)))[0].T
    path = torch.tensor([[3.0, 1.0], [2.0, 2.0], [0.5, 1.0], [0.0, 0.5]]) @ plane + 7
    shown, other = distilled.project(path, path[1:2])
    torch.testing.assert_close(torch.cdist(shown, shown), torch.cdist(path, path))
    torch.testing.assert_close(shown[-1], torch.zeros(2))
    torch.testing.assert_close(other, shown[1:2])


def test_growth_is_read_from_the_sample_sheets_of_the_run(subject: Subject, run: Path) -> None:
    found = growing.load_sample_history(run / "samples", subject.model.pictures)
    paths = sorted((run / "samples").glob("*.png"))
    assert found.images_seen == [int(p.stem) for p in paths] and len(paths) >= 2
    pixels, metadata = read_png(paths[-1])
    assert torch.equal(found.pictures[-1], cut(pixels, int(metadata["columns"]), subject.model.pictures))


def test_condition_grids_equal_samples(subject: Subject) -> None:
    found = conditioning.draw_condition_grids(subject, num_seeds=3)
    model, seeds = subject.model, range(subject.seed, subject.seed + 3)
    assert found.labels == list(model.pictures.labels)
    for i, label in enumerate(found.labels):
        right = drawn(subject, 3, cond=model.condition(label, 3), seeds=seeds)
        torch.testing.assert_close(found.by_label[3 * i : 3 * i + 3], right, rtol=1e-4, atol=1e-4)
    first, other = (model.condition(name, 1) for name in found.label_pair)
    for i, cond in ((0, first), (-1, other)):  # the ends of the way between two labels are the labels
        right = drawn(subject, 1, cond=cond, seeds=[subject.seed])
        torch.testing.assert_close(
            found.mixed[: len(conditioning.MIX_WEIGHTS)][i : i + 1 or None], right, rtol=1e-4, atol=1e-4
        )
    guided = found.guided.split(3)
    cond = model.condition(found.label_pair[0], 3)
    for scale, pictures in zip(conditioning.GUIDANCE_SCALES, guided, strict=True):
        right = drawn(subject, 3, cond=cond, guidance=scale)
        torch.testing.assert_close(pictures, right, rtol=1e-4, atol=1e-4)


def test_the_nearest_is_the_nearest(subject: Subject) -> None:
    found = originals.find_nearest(subject, 3)
    every = subject.data.train.pixels(torch.arange(len(subject.data.train)))
    right = measure_memorization(found.samples, every)
    assert torch.equal(found.training, every[right.nearest]) and torch.equal(
        found.memorization.distance, right.distance
    )


def test_errors_of_model_and_optimum(subject: Subject) -> None:
    """At little noise who knows the training pictures by heart makes no error on them, and a large one elsewhere."""
    found = originals.measure_errors(subject, 4, (0.05, 5.0))
    assert float(found.optimum["training"][0]) < 1e-6 < float(found.optimum["held-out"][0])
    x0, cond = subject.held_out_batch(4)
    t, noise = subject.time_at(5.0), Seeded([subject.seed * len(x0) + i for i in range(len(x0))])
    x_t = subject.schedule.diffuse(x0, t, noise)
    train = subject.data.train
    oracle = EmpiricalDenoiser(subject.schedule, train.x0(torch.arange(len(train))))
    for denoise, measured in ((subject.model.given(cond.null()), found.model), (oracle, found.optimum)):
        right = (denoise(x_t, t).x0 - x0).double().square().mean()
        torch.testing.assert_close(measured["held-out"][1], right)


def test_a_great_circle(subject: Subject) -> None:
    """Through both noises and their opposites, on the sphere all the way, in small steps."""
    one, other = (Seeded([i])(subject.x0) for i in (0, 1))
    points = sphere.great_circle(one, other, 12)
    for i, right in ((0, one), (3, other), (6, -one), (9, -other)):
        torch.testing.assert_close(points[i : i + 1], right, rtol=1e-5, atol=1e-5)
    lengths = points.flatten(1).norm(dim=1)
    ends_ = (float(one.norm()), float(other.norm()))
    assert min(ends_) * 0.98 < float(lengths.min()) <= float(lengths.max()) < max(ends_) * 1.02
    both = torch.cat([one, other]).flatten(1)
    flat = points.flatten(1)
    off = flat - torch.linalg.lstsq(both.T, flat.T).solution.T @ both  # from the plane of the two
    assert float(off.abs().max()) < 1e-4


def test_samples_from_points_of_the_noise_circle(subject: Subject) -> None:
    found, seeds = sphere.denoise_circle(subject, points=4, steps=4), [subject.seed, subject.seed + 1]
    right = drawn(subject, 2, seeds=seeds, sampler="heun", steps=4)
    for i, shown in enumerate(subject.to_pixels(right)):
        assert len(found.pictures[i]) == 5
        assert (found.pictures[i][-1] != shown).float().mean() < 0.02  # another batch may move a byte by one
    between = sphere.compare_paths(subject, (0.0, 0.5, 1.0), 4)
    torch.testing.assert_close(between.pictures["straight line"][[0, 2]], right, rtol=1e-3, atol=1e-3)
    straight, around = between.lengths["straight line"], between.lengths["great circle"]
    assert straight[1] < 0.85 and around[1] > 0.9 and straight[0] == pytest.approx(around[0])


def test_the_plane_of_the_bottleneck(subject: Subject) -> None:
    """Along its components samples have mean 0 and deviation 1, and the two have nothing to do with each other."""
    found = meaning.sample_plane(subject, 12, 3)
    torch.testing.assert_close(found.coordinates.mean(0), torch.zeros(2).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.coordinates.T.cov(), torch.eye(2).double(), atol=1e-4, rtol=0)
    assert found.labels[:3] == ["food", "tool", "food"]
    labels = meaning.top_label_directions(subject, 1, 2, 3)
    assert [d.name for d in labels] in (["food"], ["tool"])
    assert len(meaning.top_label_directions(subject, 5, 2, 3)) == 2
    effects, sliders = meaning.measure_edits(subject, found.directions, 2, 3)
    assert [e.name for e in effects] == [d.name for d in found.directions]
    middle = sliders[0].unflatten(0, (5, 2))[2]
    torch.testing.assert_close(middle, drawn(subject, 2, sampler="ddim", steps=3), rtol=1e-4, atol=1e-4)


def test_what_was_measured_is_shown(subject: Subject, tmp_path: Path) -> None:
    about = MeasurementSettings(subject.model.hash, "data", 20, 100, 0, 1.0, "net")
    fidelity = PRDC(0.5, 0.5, 0.5, 0.5)
    rows = tuple(
        Measurement(
            SamplerSetting("heun", "karras", n), 2 * n - 1, 0.1,
            ConfidenceInterval(k, k - 1, k + 1), (k, k + 0.1), fidelity,
        )
        for n, k in ((4, 90.0), (8, 12.5), (16, 12.4))
    )  # fmt: skip
    StepsReport(about, None, (), rows).write(tmp_path / "steps.json")
    assert worth.load_report(tmp_path, subject.model.hash).rows == rows
    assert worth.load_report(tmp_path, "another") is None
    page = worth.render_chapter(replace(subject, path=tmp_path))
    assert "heun on the karras grid in 8 steps" in page and "KID 12.5" in page
    assert "has not been measured" in worth.render_chapter(subject)


# ── missing parts ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_seed_gives_one_page(bare: Subject) -> None:
    """And a model folder alone, gray and oblong, can tell most of it."""
    again = load_subject(bare.path, seed=bare.seed)
    for chapter in (
        noising.render_chapter,
        jump.render_chapter,
        question.render_chapter,
        network.render_chapter,
        reverse.render_chapter,
    ):
        assert chapter(bare) == chapter(again)
        assert "<figcaption>" in chapter(again)
    assert "a sample of the model, seed 0" in noising.render_chapter(bare)


@pytest.mark.parametrize(
    ("schedule", "parametrization"),
    [(LinearBeta(), Epsilon()), (RectifiedFlow(), Flow()), (ZeroTerminalSNR(), V())],
)
def test_every_schedule_and_parametrization_can_be_explained(
    schedule: Schedule, parametrization: Parametrization, tmp_path: Path
) -> None:
    """A chain, a flow, and a chain that ends in noise alone: no number is lost on the way."""
    config = replace(tiny("L", ()).config, schedule=schedule, parametrization=parametrization)
    PictureModel(config).save_pretrained(tmp_path / "model")
    other = load_subject(tmp_path / "model")
    for chapter in (noising.render_chapter, jump.render_chapter, question.render_chapter, reverse.render_chapter):
        assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"')]+", "", chapter(other)))


@pytest.mark.parametrize(
    "chapter", [growing.render_chapter, conditioning.render_chapter, originals.render_chapter, distilled.render_chapter]
)
def test_missing_parts_are_replaced_by_one_line(bare: Subject, chapter) -> None:
    text = chapter(bare)
    assert text.startswith("<p>") and text.count("<p") == 1
    assert "on the run folder" in text or "without labels" in text


def test_a_run_in_a_notebook(run: Path) -> None:
    from noisette.report.notebook import render_html
    from noisette.report.run import Run

    found = Run(run)
    text = render_html(found)
    assert "24, finished" in text and "held-out loss" in text and text.count("<img") >= 12
    assert torch.equal(found.samples.pixels, growing.load_sample_history(run / "samples", found.pictures).pictures[-1])
    assert found.samples.names[:2] == ("food", "tool") and found.model.pictures.shape == found.pictures.shape
    (run / "model").rename(run / "away")  # while it still trains, its newest checkpoint is its model
    try:
        assert Run(run).model.hash != found.model.hash
    finally:
        (run / "away").rename(run / "model")
