"""The batches of an edit: what is needed to draw some images at once, made of a request."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..diffusion.denoiser import Denoiser
from ..diffusion.noise import Noise
from ..diffusion.sampler import Sampler, State
from ..models.codec import Codec
from ..models.picture_model import PictureModel
from ..shapes import Grid, Images
from .canvas import own_canvas
from .generate import batched_rows, build_canvas_denoiser, initial_noise, make_noise
from .request import Helpers, SampleRequest

One = UInt8[Tensor, "1 c h w"]
OneOrEach = UInt8[Tensor, "#b c h w"]  # a picture for all images of a batch, or one for each


@dataclass(frozen=True, eq=False)
class EditBatch:
    """What an edit draws some images with."""

    denoise: Denoiser
    sampler: Sampler
    grid: Grid
    noise: Noise
    size: int  # images of this batch
    device: torch.device
    offset: int = 0  # images of the batches before
    temperature: float = 1.0  # factor of the initial noise

    def encode_repeated(self, codec: Codec, pixels: OneOrEach) -> Images:
        """One picture in model space, repeated for each image of the batch, or one for each; memory of its own."""
        return codec.encode(pixels.to(self.device)).expand(self.size, -1, -1, -1).contiguous()

    def initial_noise(self, codec: Codec) -> Images:
        """Initial noise of the model's size."""
        blank = torch.empty(self.size, *codec.shape, device=self.device)
        return initial_noise(self.denoise, self.grid, blank, self.noise, self.temperature)


@dataclass(frozen=True, eq=False)
class CallbackSampler:
    """A sampler that calls `on_step` with the state after each step."""

    sampler: Sampler
    on_step: Callable[[State], None]

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        new = self.sampler.step(denoise, state, s, noise)
        self.on_step(new)
        return new


def edit_batches(
    model: PictureModel,
    request: SampleRequest,
    helpers: Helpers | None = None,
    wrap: Callable[[Sampler], Sampler] = lambda sampler: sampler,
) -> Iterator[EditBatch]:
    """The batches of a request. `wrap` may put another sampler around the request's, like CallbackSampler."""
    helpers = request.resolve_helpers(model, helpers or Helpers())
    request.check_own_size("an edit")
    canvas = own_canvas(model)
    cond, guidance = request.make_condition(model, helpers), request.make_guidance(model, helpers)
    grid, sampler = request.make_grid(model), wrap(request.make_sampler(model))
    device = next(model.parameters()).device
    for rows in batched_rows(len(request), request.batch):
        denoise = build_canvas_denoiser(model, cond, guidance, rows, canvas, request.batch)
        noise = make_noise([request.lineages[i] for i in rows])
        yield EditBatch(denoise, sampler, grid, noise, len(rows), device, rows.start, request.temperature)
