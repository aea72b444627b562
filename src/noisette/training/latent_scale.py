"""The scale of an autoencoder's latents, measured on training pictures.

Each latent channel is shifted by its mean and scaled so that INSIDE of its values lie in [-1, 1], latent model space.
"""

import math
from dataclasses import replace

import torch

from ..data import Subset
from ..diffusion.noise import make_generator
from ..models.codec import to_mode
from ..models.picture_autoencoder import PictureAutoencoder, build_autoencoder

STATISTICS_PICTURES, STATISTICS_VALUES = 4096, 2**22  # at most; values of a latent channel
INSIDE = 0.999  # share of the latent values of a channel that lie within [-1, 1] of model space
BATCH_MEASURED = 32


@torch.no_grad()
def with_latent_scale(model: PictureAutoencoder, data: Subset, seed: int) -> PictureAutoencoder:
    """The same autoencoder, on the CPU, with the scale of its latents measured on training pictures, which are encoded
    on its own device."""
    pictures, device = data.pictures, next(model.parameters()).device
    shape = model.latent_shape(pictures.height, pictures.width)
    count = max(1, min(STATISTICS_PICTURES, STATISTICS_VALUES // (shape[1] * shape[2]), len(data)))
    rows = torch.randperm(len(data), generator=make_generator(seed, "latent scale"))[:count]
    parts = []
    for part in rows.split(BATCH_MEASURED):
        images = to_mode(pictures.encode(data.pixels(part)), pictures, model.config.mode)
        parts.append(model.net.encode(model.pad(images.to(device)))[0].cpu())
    values = torch.cat(parts).double().transpose(0, 1).flatten(1)  # (z, n)
    shift = values.mean(1)
    distances = (values - shift[:, None]).abs().sort(dim=1).values
    scale = distances[:, min(distances.shape[1] - 1, math.ceil(INSIDE * distances.shape[1]))].clamp(min=1e-6)
    inside = ((values - shift[:, None]) / scale[:, None]).clamp(-1, 1)
    config = replace(
        model.config, shift=tuple(shift.tolist()), scale=tuple(scale.tolist()), sigma_data=inside.std().item()
    )
    made = build_autoencoder(config)
    made.net.load_state_dict(model.net.state_dict())
    return made
