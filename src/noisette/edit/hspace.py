"""Directions in a model's features, h-space, and their effects (Kwon et al. 2023; found as in Haas et al. 2024).

h_t is the output of one layer at time t, (k, i, j) for each image. A direction is a Δh for each time of a grid:
strength s adds s Δh_t and changes x0 only (`Asyrp`). Directions are principal components of h over images, or
differences of the means of two kinds of images; no other network is needed.

Kwon et al. edit the bottleneck, 8×8, of networks for 256×256. In a network for 16×16 or 32×32 most information takes
the skip connections, and editing the bottleneck has almost no effect (docs/steering.md). There, the decoder's
features at half of the picture's size take its place.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..diffusion.denoiser import Denoiser, Prediction
from ..diffusion.guidance import Asyrp, DenoiserWrapper, hook_output
from ..diffusion.noise import Noise
from ..diffusion.sampler import DDIM, Sampler, sample
from ..errors import InputError, suggest_names
from ..io.files import atomic_write, read_bytes
from ..io.json_files import parse_json
from ..io.tensors import prepare_tensors, tensors_from_bytes
from ..models.picture_model import PictureModel
from ..sampling.batch import EditBatch
from ..sampling.generate import initial_state
from ..shapes import Grid, Images, Time

EULER = DDIM()
Layer = Literal["decoder", "mid"]  # before the decoder's finest level, or the bottleneck
LAYERS: dict[str, Layer] = {"decoder": "decoder", "mid": "mid"}
ActivationTimes = Float[Tensor, "kept"]  # of a grid, without 0
Activations = Float[Tensor, "kept b k i j"]  # the layer's output at each of them


@dataclass(frozen=True, eq=False)
class Direction:
    """A Δh for each of some times. Strength 1 is one standard deviation, or the difference of two means."""

    name: str
    times: ActivationTimes
    values: Float[Tensor, "kept k i j"]
    layer: Layer = "decoder"

    def at_time(self, t: Tensor) -> Float[Tensor, "k i j"]:
        """Δh of the nearest time, by its logarithm."""
        return self.values[int((self.times.log() - t.cpu().double().clamp(min=1e-9).log()).abs().argmin())]


@dataclass(frozen=True, eq=False)
class HSpaceEdit(DenoiserWrapper):
    """A denoiser whose x0 is moved along (direction, strength) pairs in the output of `module`; ε is unchanged."""

    module: nn.Module
    along: Sequence[tuple[Direction, float]]

    def __call__(self, x: Images, t: Time) -> Prediction:
        step = sum((s * d.at_time(t.flatten()[0]) for d, s in self.along), torch.zeros(())).to(x)
        return Asyrp(self.denoiser, self.module, lambda h: h + step.to(h))(x, t)


def find_layer(net: nn.Module, layer: Layer = "decoder") -> nn.Module:
    """The layer of a network whose output is h-space; the bottleneck, if the network has no `decoder`.

    Raises InputError for a network without a bottleneck.
    """
    found = getattr(net, layer, None) or getattr(net, "mid", None)
    if not isinstance(found, nn.Module):
        raise InputError(f"h-space needs a U-Net, and this network is a {type(net).__name__}, which has no bottleneck")
    return found


@dataclass(frozen=True, eq=False)
class ActivationRecorder(DenoiserWrapper):
    """The same denoiser; the output of `module` is kept in `activations` by time."""

    module: nn.Module
    activations: dict[float, Tensor]

    def __call__(self, x: Images, t: Time) -> Prediction:
        def keep(h: Tensor) -> Tensor:
            self.activations[float(t.flatten()[0])] = h.detach()
            return h

        with hook_output(self.module, keep):
            return self.denoiser(x, t)


def record_sampling(
    denoise: Denoiser, module: nn.Module, grid: Grid, x: Images, noise: Noise, sampler: Sampler = EULER
) -> tuple[ActivationTimes, Activations]:
    """Sample from x, and return the grid's times and h at each of them."""
    recorder = ActivationRecorder(denoise, module, {})
    sample(recorder, sampler, grid, x, noise)
    return torch.tensor(list(recorder.activations), dtype=torch.float64), torch.stack(
        list(recorder.activations.values())
    )


@torch.no_grad()
def record_noised(
    denoise: Denoiser, module: nn.Module, grid: Grid, pictures: Images, noise: Noise
) -> tuple[ActivationTimes, Activations]:
    """The grid's times and h at x_t ~ q(x_t | picture) of given pictures, each with one noise at all times."""
    recorder, eps = ActivationRecorder(denoise, module, {}), noise(pictures)
    for t in grid[grid > 0]:
        recorder(denoise.schedule.diffuse(pictures, t, lambda like: eps), t)
    return torch.tensor(list(recorder.activations), dtype=torch.float64), torch.stack(
        list(recorder.activations.values())
    )


# ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────


def principal_directions(
    times: ActivationTimes, activations: Activations, number: int, layer: Layer = "decoder"
) -> list[Direction]:
    """The principal components of h, over all times together, each one standard deviation long. The sign is chosen so
    that the largest entry is positive. Raises InputError unless 0 < number < images."""
    rows = activations.transpose(0, 1).flatten(1).cpu().double()  # (b, kept k i j)
    if not 0 < number < len(rows):
        raise InputError(f"components must be between 1 and {len(rows) - 1} for {len(rows)} pictures, got {number}")
    rows = rows - rows.mean(0)
    _, sizes, axes = torch.linalg.svd(rows, full_matrices=False)
    explained = sizes.square() / sizes.square().sum()
    directions = []
    for i in range(number):
        axis = axes[i] * axes[i][axes[i].abs().argmax()].sign() * sizes[i] / (len(rows) - 1) ** 0.5
        values = axis.reshape(activations.shape[0], *activations.shape[2:]).to(activations)
        directions.append(Direction(f"component {i + 1} ({100 * explained[i]:.0f} %)", times, values, layer))
    return directions


def difference_direction(
    name: str, times: ActivationTimes, target: Activations, reference: Activations, layer: Layer = "decoder"
) -> Direction:
    """From the mean h of the reference pictures to the mean h of the target pictures."""
    return Direction(name, times, target.mean(1) - reference.mean(1), layer)


# ── measuring ─────────────────────────────────────────────────────────────────────────────────────────────────────


def linearity(strengths: Float[Tensor, "s"], effects: Float[Tensor, "s b"]) -> tuple[float, float]:
    """Slope of the effect per unit of strength, and R² of a line through it; means over images.

    An image without any effect has R² 1.
    """
    x = (strengths - strengths.mean()).double()[:, None]
    y = (effects - effects.mean(0)).double()
    slope = (x * y).sum(0) / x.square().sum()
    residual, total = (y - slope * x).square().sum(0), y.square().sum(0)
    r2 = torch.where(total > 1e-12, 1 - residual / total.clamp(min=1e-12), torch.ones_like(total))
    return slope.mean().item(), r2.mean().item()


def homogeneity(changes: Images) -> float:
    """Mean cosine similarity between the changes of two images by one direction: 1 if it changes all alike."""
    unit = torch.nn.functional.normalize(changes.flatten(1).cpu().double(), dim=1)
    n = len(unit)
    return ((unit.sum(0).square().sum() - unit.square().sum()) / (n * (n - 1))).item()


def composition(both: Images, one: Images, other: Images) -> float:
    """1 − |both − sum| / |sum| of the change by two directions at once and the sum of both: 1 if they add up."""
    total = (one + other).flatten(1).cpu().double()
    return (1 - (both.flatten(1).cpu().double() - total).norm(dim=1) / total.norm(dim=1).clamp(min=1e-12)).mean().item()


def find_components(
    model: PictureModel, batches: Iterable[EditBatch], number: int, layer: Layer = "decoder"
) -> list[Direction]:
    """Principal directions of new pictures of these batches. Their denoisers must be without guidance, so that the
    network is evaluated once a step."""
    module, parts = find_layer(model.net, layer), []
    for batch in batches:
        x = batch.initial_noise(model.codec)
        times, activations = record_sampling(batch.denoise, module, batch.grid, x, batch.noise)
        parts.append(activations)
    return principal_directions(times, torch.cat(parts, 1), number, layer)


def find_label_directions(
    model: PictureModel, labels: Sequence[str], seeds: Sequence[int], grid: Grid, layer: Layer = "decoder",
    temperature: float | None = None,
) -> list[Direction]:  # fmt: skip
    """From the mean of all labels to that of each label, from the same noises."""
    module, means = find_layer(model.net, layer), {}
    for name in labels:
        cond = model.condition(name, len(seeds))
        state, noise = initial_state(model, seeds, grid, temperature)
        denoise = model.given(None if cond is None else cond.to(state.x.device))
        times, activations = record_sampling(denoise, module, grid, state.x, noise)
        means[name] = activations.mean(1)
    if not means:
        return []
    center = torch.stack(list(means.values())).mean(0)
    return [Direction(name, times, mean - center, layer) for name, mean in means.items()]


METADATA_KEY, FORMAT_VERSION = "noisette", 2  # format 1: the bottleneck only


def save_directions(path: str | Path, directions: Sequence[Direction], model_hash: str, description: str = "") -> None:
    """Write directions of one layer of the model with this hash, atomically. `description`: how they were found."""
    (layer,) = {d.layer for d in directions}
    tensors = {f"{i}/{part}": getattr(d, part) for i, d in enumerate(directions) for part in ("times", "values")}
    header = {
        "format": FORMAT_VERSION,
        "model": model_hash,
        "place": layer,
        "names": [d.name for d in directions],
        "about": description,
    }
    metadata = {METADATA_KEY: json.dumps(header, ensure_ascii=False)}
    atomic_write(path, safetensors.torch.save(prepare_tensors(tensors, str(path)), metadata))


def load_directions(path: str | Path, model_hash: str) -> list[Direction]:
    """Read directions. Raises InputError for a damaged file, and for directions of another model."""
    path = Path(path)
    data = read_bytes(path)
    tensors = tensors_from_bytes(data, path)
    try:
        size = int.from_bytes(data[:8], "little")
        header = parse_json(parse_json(data[8 : 8 + size], path)["__metadata__"][METADATA_KEY], path)
        version, owner, names = int(header["format"]), str(header["model"]), [str(name) for name in header["names"]]
        layer = LAYERS[header.get("place", "mid")]
        directions = [Direction(n, tensors[f"{i}/times"], tensors[f"{i}/values"], layer) for i, n in enumerate(names)]
        is_valid = all(
            len(d.times) == len(d.values) and d.values.ndim == 4 and bool((d.times > 0).all()) for d in directions
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} has no directions: give a file written by noisette edit hspace") from error
    if version > FORMAT_VERSION:
        raise InputError(f"{path} was written by a newer version (format {version}): update noisette")
    if owner != model_hash:
        raise InputError(
            f"{path} has directions of another model, {owner[:12]}…, and this one is {model_hash[:12]}…: find new ones"
        )
    if not is_valid or not directions:
        raise InputError(f"{path} is damaged: find the directions again")
    return directions


def select_direction(directions: Sequence[Direction], name: str) -> Direction:
    """The direction of this number, from 1, or of this name or beginning of a name."""
    names = [d.name for d in directions]
    if name.isdecimal() and 1 <= int(name) <= len(names):
        return directions[int(name) - 1]
    matching = [d for d in directions if d.name == name] or [d for d in directions if d.name.startswith(name)]
    if len(matching) != 1:
        raise InputError(f"no direction is called {name!r}{suggest_names(name, names)}")
    return matching[0]


STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)


@dataclass(frozen=True)
class DirectionEffect:
    """Effect of one direction. On an image it is the projection of its change on the mean change at strength 1."""

    name: str
    rms_change: float  # of the pixels in [-1, 1] at strength 1
    r2: float  # of a line through the effects at strengths -2 … 2
    homogeneity: float  # at strength 1
    composition: float | None  # with the next direction
    slope: float  # of that line, per unit of strength
    mean_effects: tuple[float, ...]  # at each of STRENGTHS, means over images


@dataclass(frozen=True, eq=False)
class EffectSetup:
    """What effects are measured with. The sampler must be deterministic."""

    denoise: Denoiser
    module: nn.Module  # of the network
    sampler: Sampler
    grid: Grid
    x: Images
    noise: Noise

    def sample_edited(self, along: Sequence[tuple[Direction, float]]) -> Images:
        """Images from x, moved along (direction, strength) pairs."""
        if not any(strength for _, strength in along):
            return sample(self.denoise, self.sampler, self.grid, self.x, self.noise)
        edited = HSpaceEdit(self.denoise, self.module, along)
        return sample(edited, self.sampler, self.grid, self.x, self.noise)


def sample_strengths(setup: EffectSetup, direction: Direction) -> Images:
    """Images at each of STRENGTHS, (S · B, C, H, W), strengths outermost."""
    return torch.cat([setup.sample_edited([(direction, s)]) for s in STRENGTHS])


def measure_effects(setup: EffectSetup, directions: Sequence[Direction]) -> tuple[list[DirectionEffect], list[Images]]:
    """The effect of each direction, and its images at each of STRENGTHS, (S · B, C, H, W)."""
    sliders = [sample_strengths(setup, d).unflatten(0, (len(STRENGTHS), -1)) for d in directions]
    effects = []
    for i, (direction, shown) in enumerate(zip(directions, sliders, strict=True)):
        zero = shown[STRENGTHS.index(0.0)]
        one = shown[STRENGTHS.index(1.0)] - zero
        unit = one.mean(0).flatten() / one.mean(0).norm().clamp(min=1e-12)
        shares = (shown - zero).flatten(2) @ unit  # (strengths, b)
        both = None
        if i + 1 < len(directions):
            other = sliders[i + 1][STRENGTHS.index(1.0)] - sliders[i + 1][STRENGTHS.index(0.0)]
            both = composition(setup.sample_edited([(direction, 1.0), (directions[i + 1], 1.0)]) - zero, one, other)
        slope, r2 = linearity(torch.tensor(STRENGTHS), shares.cpu())
        size, means = one.square().mean().sqrt().item(), tuple(shares.mean(1).tolist())
        effects.append(DirectionEffect(direction.name, size, r2, homogeneity(one), both, slope, means))
    return effects, [s.flatten(0, 1) for s in sliders]
