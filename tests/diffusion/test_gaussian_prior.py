"""The closed form at high noise: the formula for any covariance, mixtures of labels, and its fit to pictures."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import noisette
from noisette.diffusion.gaussian_prior import GaussianPrior, PriorConfig
from noisette.diffusion.guidance import CallCounter
from noisette.diffusion.noise import Seeded, make_generator
from noisette.diffusion.oracle import GaussianMixtureDenoiser
from noisette.diffusion.sampler import Heun, sample
from noisette.diffusion.schedule import Cosine, RectifiedFlow, Schedule, VarianceExploding
from noisette.errors import InputError
from noisette.io.json_files import read_object, write_json
from noisette.sampling.draw import draw
from tiny_models import LABELS, tiny

SHAPE, D = (2, 3, 4), 24
SCHEDULES: list[Schedule] = [VarianceExploding(), Cosine(), RectifiedFlow()]


def random(*size: int, name: str = "prior") -> torch.Tensor:
    return torch.randn(size, generator=make_generator(name, len(size), *size), dtype=torch.float64)


def make_prior(groups: int, variances: tuple[float, ...], rest: float) -> GaussianPrior:
    prior = GaussianPrior(PriorConfig(groups, len(variances), 1.0), SHAPE).double()
    prior.means.copy_(random(groups, *SHAPE))
    prior.weights.copy_(torch.arange(1.0, groups + 1).double() / sum(range(1, groups + 1)))
    prior.components.copy_(torch.linalg.qr(random(D, len(variances)))[0].T.reshape(-1, *SHAPE))
    prior.variances.copy_(torch.tensor(variances))
    prior.rest.fill_(rest)
    return prior


def covariance(prior: GaussianPrior) -> torch.Tensor:
    u = prior.components.flatten(1)
    return u.T @ torch.diag(prior.variances - prior.rest) @ u + prior.rest * torch.eye(D)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("t", [0.3, 0.9, 1.0])
def test_it_is_the_posterior_mean_of_a_gaussian(schedule: Schedule, t: float) -> None:
    prior, time = make_prior(1, (4.0, 2.0, 0.7), 0.1), torch.tensor(t, dtype=torch.float64)
    x = 3 * random(5, *SHAPE, name="x")
    alpha, sigma = schedule.at(time, x)
    found = prior.predict(x, alpha, sigma)
    mean, cov = prior.means[0].flatten(), covariance(prior)
    gain = alpha * cov @ torch.linalg.inv(alpha**2 * cov + sigma**2 * torch.eye(D))
    wanted = mean + (x.flatten(1) - alpha * mean) @ gain.T
    torch.testing.assert_close(found.x0.flatten(1), wanted)
    torch.testing.assert_close(alpha * found.x0 + sigma * found.eps, x)


@pytest.mark.parametrize("t", [0.02, 0.3])
def test_a_null_label_is_the_mixture_of_all_groups(t: float) -> None:
    prior, schedule = make_prior(3, (0.25, 0.25), 0.25), VarianceExploding()
    oracle = GaussianMixtureDenoiser(schedule, prior.means, torch.full((3,), 0.5).double(), prior.weights)
    time, x = torch.tensor(t, dtype=torch.float64), 2 * random(6, *SHAPE, name="x")
    for label in (None, torch.full((6,), -1), torch.full((6, 2), torch.nan)):
        torch.testing.assert_close(prior.predict(x, *schedule.at(time, x), label).x0, oracle(x, time).x0)


def test_a_label_has_its_mean_and_a_mixture_of_labels_the_mean_of_theirs() -> None:
    prior, x = make_prior(3, (4.0,), 0.1), random(2, *SHAPE, name="x")
    alpha, sigma = torch.ones(2, 1, 1, 1), torch.tensor([1e6, 1e6]).reshape(2, 1, 1, 1)  # nothing is seen of x
    by_label = prior.predict(x, alpha, sigma, torch.tensor([1, 0])).x0
    torch.testing.assert_close(by_label, prior.means[[1, 0]], atol=1e-4, rtol=0)
    mixed = prior.predict(x, alpha, sigma, torch.tensor([[0.25, 0.75], [1.0, 0.0]])).x0
    means = torch.stack([0.25 * prior.means[0] + 0.75 * prior.means[1], prior.means[0]])
    torch.testing.assert_close(mixed, means, atol=1e-4, rtol=0)


def test_the_fit_finds_means_and_covariance() -> None:
    true = make_prior(2, (9.0, 4.0, 1.0), 0.01)
    labels = torch.arange(20_000) % 2
    x = random(20_000, D, name="data") @ torch.linalg.cholesky(covariance(true)).T + true.means[labels].flatten(1)
    found = GaussianPrior.fit(x.reshape(-1, *SHAPE).float(), labels, num_classes=1 + 1)
    torch.testing.assert_close(found.means[:2].double(), true.means, atol=0.1, rtol=0)
    torch.testing.assert_close(found.weights, torch.tensor([0.5, 0.5, 0.0]))
    torch.testing.assert_close(covariance(found.double()), covariance(true), atol=0.9, rtol=0)
    assert found.variances[:3].tolist() == pytest.approx([9, 4, 1], rel=0.12)


def test_unlabeled_pictures_are_a_group_of_their_own() -> None:
    x = torch.cat([torch.full((40, *SHAPE), 1.0), torch.full((40, *SHAPE), -1.0)]) + 0.1 * random(80, *SHAPE).float()
    found = GaussianPrior.fit(x, torch.tensor([0] * 40 + [-1] * 40), num_classes=1)
    assert found.means.mean((1, 2, 3)).tolist() == pytest.approx([0.9, -0.9], abs=0.05)  # drawn to the mean of all


@pytest.mark.parametrize("wanted", [1.0, 3.0])
def test_the_lowest_noise_level_leaves_few_degrees_of_freedom(wanted: float) -> None:
    x = random(500, D, name="data") * torch.tensor([10.0, 5.0, 3.0, *[1.0] * (D - 3)])
    prior = GaussianPrior.fit(x.reshape(-1, *SHAPE).float(), degrees_of_freedom=wanted)
    variances = torch.linalg.eigvalsh(covariance(prior.double()))
    assert (variances / (variances + prior.config.min_ratio**2)).sum().item() == pytest.approx(wanted, rel=0.01)


def with_prior(ratio: float = 2.0) -> noisette.PictureModel:
    model = tiny()
    x0 = torch.rand(60, *model.pictures.shape, generator=make_generator("pictures")) * 2 - 1
    model.prior = GaussianPrior.fit(x0, torch.arange(60) % 3, 3)
    model.prior.config = replace(model.prior.config, min_ratio=ratio)
    return model


def test_the_network_is_not_called_above_and_alone_below() -> None:
    model, plain, calls = with_prior(), tiny(), []
    model.net.register_forward_hook(lambda *_: calls.append(1))
    x = random(3, *model.pictures.shape, name="x").float()
    cond = model.condition(["sword", None, "bread"], 3)
    low, high = (model.schedule.time_at_ratio(torch.tensor(r, dtype=torch.float64)) for r in (1.0, 5.0))
    assert torch.equal(model.given(cond)(x, low).x0, plain.given(cond)(x, low).x0) and len(calls) == 1
    assert model.prior is not None and cond is not None
    closed = model.prior.predict(x, *model.schedule.at(high, x), cond.label)
    assert torch.equal(model.given(cond)(x, high).x0, closed.x0) and len(calls) == 1
    assert model.calls_network(low) and not model.calls_network(high) and plain.calls_network(high)
    counter = CallCounter(model.given(cond), is_counted=model.calls_network)
    for t in (high, low, low):
        counter(x, t)
    assert counter.num_calls == 2
    both = model.given(cond)(x, torch.stack([low, high, high]))  # each image at a time of its own
    assert torch.equal(both.x0[1:], closed.x0[1:])
    torch.testing.assert_close(both.x0[:1], plain.given(cond)(x, low).x0[:1])


def test_sampling_with_the_closed_form_gives_the_gaussian() -> None:
    """From noise to σ/α 2 by Heun: mean and covariance of x_t are those of the data with that noise."""
    true, schedule = make_prior(1, (9.0, 4.0), 0.5), VarianceExploding()

    class Oracle:
        schedule = VarianceExploding()

        def __call__(self, x, t):
            return true.predict(x, *schedule.at(t, x))

    ratios = torch.logspace(math.log10(80), math.log10(2), 60, dtype=torch.float64)
    grid = schedule.time_at_ratio(ratios)
    noise = Seeded(range(4000))
    start = noise(torch.empty(4000, *SHAPE)).double() * 80
    end = sample(CallCounter(Oracle()), Heun(), grid, start, noise).flatten(1)
    wanted = covariance(true) + 4 * torch.eye(D)
    torch.testing.assert_close(end.mean(0), true.means[0].flatten(), atol=0.25, rtol=0)
    assert (end.T.cov() - wanted).abs().max() < 0.7


def test_a_model_keeps_its_prior(tmp_path: Path) -> None:
    model = with_prior()
    model.save_pretrained(tmp_path / "model")
    loaded = noisette.load(tmp_path / "model")
    assert loaded.prior is not None and model.prior is not None and loaded.prior.config == model.prior.config
    assert torch.equal(draw(model, 3, seed=1).pixels, draw(loaded, 3, seed=1).pixels)
    tiny().save_pretrained(tmp_path / "plain")
    assert noisette.load(tmp_path / "plain").hash != loaded.hash  # it draws other pictures
    assert not torch.equal(draw(tiny(), 3, seed=1).pixels, draw(loaded, 3, seed=1).pixels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 3}, "prior.groups is 3, of a network with 3 classes"),
        ({"groups": 0}, "prior.groups must be above 0"),
        ({"components": 10**9}, "prior.components must be above 0 and at most 1,024"),
        ({"min_ratio": -1.0}, "prior.min_ratio must be above 0"),
        ({"components": 5}, "prior.components"),
        ({"more": 1}, "'more'"),
    ],
)
def test_a_prior_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with_prior().save_pretrained(tmp_path)
    data = read_object(tmp_path / "config.json")
    data["prior"] |= change
    data.pop("sha256", None)
    write_json(tmp_path / "config.json", data)
    with pytest.raises(InputError, match=message):
        noisette.load(tmp_path)


def test_labels_are_those_of_the_model() -> None:
    assert with_prior().prior.config.groups == len(LABELS) + 1
