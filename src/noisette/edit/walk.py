"""Interpolation between noises and conditions, frame by frame.

Noises are interpolated on their sphere (slerp): a straight line passes through noise of a smaller deviation than the
model was trained for. Every draw of a trajectory is interpolated, so that any sampler works, and loops close exactly.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..diffusion.condition import Condition
from ..diffusion.noise import Noise
from ..diffusion.sampler import Sampler, sample
from ..errors import InputError
from ..models.picture_model import PictureModel
from ..sampling.generate import build_denoiser, initial_noise, make_noise
from ..sampling.lineage import NoiseLineage
from ..sampling.request import Helpers, SampleRequest
from ..shapes import Images, PerImage, UInt8Images


def slerp(a: Images, b: Images, weight: PerImage) -> Images:
    """From a (weight 0) to b (weight 1) on a great circle, image by image; for parallel ones on a straight line."""
    angle = F.cosine_similarity(a.flatten(1).cpu().double(), b.flatten(1).cpu().double()).clamp(-1, 1).acos()
    weight = weight.to(angle)  # float64 on the CPU: not every accelerator has it
    straight = angle.sin() < 1e-6
    sine = angle.sin().masked_fill(straight, 1)
    left = torch.where(straight, 1 - weight, ((1 - weight) * angle).sin() / sine)
    right = torch.where(straight, weight, (weight * angle).sin() / sine)
    left, right = (torch.where(weight == end, torch.ones_like(weight), c) for c, end in ((left, 0), (right, 1)))
    return left.reshape(-1, 1, 1, 1).to(a) * a + right.reshape(-1, 1, 1, 1).to(a) * b


@dataclass(frozen=True, eq=False)
class InterpolatedNoise:
    """A noise between two noises: every draw is the slerp of theirs."""

    start: Noise
    end: Noise
    weight: PerImage

    def __call__(self, like: Images) -> Images:
        return slerp(self.start(like), self.end(like), self.weight)


@dataclass(frozen=True)
class WalkPosition:
    """The position of a frame: between keyframes `start` (weight 0) and `end` (weight 1)."""

    start: int
    end: int
    weight: float


def walk_positions(num_keyframes: int, num_frames: int, is_loop: bool = True) -> list[WalkPosition]:
    """Frames evenly spread over keyframes 0, 1, … and, in a loop, back to 0.

    In a loop the frame after the last is the first; otherwise the last frame is the last keyframe.
    """
    if num_keyframes < 2 or num_frames < 2:
        raise InputError(f"a walk needs at least 2 keyframes and 2 frames, got {num_keyframes} and {num_frames}")
    legs = num_keyframes if is_loop else num_keyframes - 1
    positions = []
    for frame in range(num_frames):
        at = frame * legs / (num_frames if is_loop else num_frames - 1)
        leg = min(int(at), legs - 1)
        positions.append(WalkPosition(leg, (leg + 1) % num_keyframes, at - leg))
    return positions


def interpolate_noise(seeds: Sequence[int | NoiseLineage], positions: Sequence[WalkPosition]) -> InterpolatedNoise:
    """The noise of frames at these positions, where keyframe i has seeds[i]."""
    weight = torch.tensor([p.weight for p in positions], dtype=torch.float64)
    return InterpolatedNoise(
        make_noise([seeds[p.start] for p in positions]), make_noise([seeds[p.end] for p in positions]), weight
    )


def interpolate_condition(keyframes: Condition, positions: Sequence[WalkPosition], num_classes: int) -> Condition:
    """The condition at these positions, where row i is keyframe i's: the weighted mean of both ends.

    Where one end has the null condition, that of the nearer end.
    """
    w = torch.tensor([p.weight for p in positions], dtype=torch.float64)

    def at(rows: Tensor) -> Tensor:
        rows = class_weights(rows, num_classes) if rows.ndim == 1 else rows
        a, b = (rows[[getattr(p, end) for p in positions]] for end in ("start", "end"))
        weight = w.to(rows).reshape((-1,) + (1,) * (rows.ndim - 1))
        nearer = torch.where(weight < 0.5, a, b)
        return torch.where(a.isnan() | b.isnan(), nearer, (1 - weight) * a + weight * b)

    return keyframes.map(at)


def class_weights(labels: Tensor, num_classes: int) -> Float[Tensor, "b classes"]:
    """Class numbers as rows of mixture weights; -1, the null label, as a row of NaN."""
    rows = F.one_hot(labels.clamp(min=0), num_classes).float()
    return torch.where(labels[:, None] < 0, torch.nan, rows)


def draw_walk(
    model: PictureModel,
    request: SampleRequest,
    positions: Sequence[WalkPosition],
    helpers: Helpers | None = None,
    wrap: Callable[[Sampler], Sampler] = lambda sampler: sampler,
) -> Iterator[UInt8Images]:
    """The frames at these positions, `request.batch` at a time, on the CPU. Keyframe i is image i of the request.

    Labels, texts and negative ones are interpolated as well; gradient terms must be the same for all images. `wrap` may
    put another sampler around the request's.
    """
    request.check_own_size("a walk")
    helpers = request.resolve_helpers(model, helpers or Helpers())
    conditions, guidance = request.make_condition(model, helpers), request.make_guidance(model, helpers)
    grid, sampler = request.make_grid(model), wrap(request.make_sampler(model))
    device, num_classes = next(model.parameters()).device, model.config.net.classes
    for first in range(0, len(positions), request.batch):
        part = positions[first : first + request.batch]
        cond, negative = (
            None if keyframes is None else interpolate_condition(keyframes, part, num_classes).to(device)
            for keyframes in (conditions, guidance.negative)
        )
        denoise = build_denoiser(model, cond, replace(guidance, negative=negative))
        noise, blank = (
            interpolate_noise(request.lineages, part),
            torch.empty(len(part), *model.codec.shape, device=device),
        )
        x = initial_noise(denoise, grid, blank, noise, request.temperature)
        yield model.codec.decode_samples(sample(denoise, sampler, grid, x, noise)).cpu()
