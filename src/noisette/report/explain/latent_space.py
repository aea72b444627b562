"""Chapter: the latents of an autoencoder, and the two spaces in which a latent model is walked through."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from ...data.dataset import Subset
from ...data.pictures import Pictures
from ...diffusion.noise import Seeded
from ...models.codec import LatentCodec
from ...sampling.generate import sample_images
from ...shapes import ModelSpace, UInt8Images
from ...training.autoencoder import measure_psnr
from ..viz.page import paragraph
from ..viz.strip import format_short
from ..viz.tiles import TileRow, render_tiles
from .subject import Subject

SHOWN = 6  # pictures of a row
RATIOS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)  # σ/α of the comparison of noising
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the walks
ERROR_GAIN = 4  # times that the error map is brightened


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    codec = subject.model.codec
    if not isinstance(codec, LatentCodec):
        return paragraph(
            "This model works on pixels. This chapter is about models that work on latents, the output of an "
            "autoencoder. Train an autoencoder with `noisette train-autoencoder`, then a model with `noisette train "
            "SOURCE --autoencoder AUTOENCODER`."
        )
    pixels = _pictures(subject, codec)
    with torch.no_grad():
        latents = codec.encode(pixels)
        restored = codec.decode(latents)
    psnr = measure_psnr(codec.pictures, restored, pixels).mean().item()
    return "\n".join(
        (
            paragraph(_describe(codec, psnr, len(pixels))),
            render_tiles(
                [
                    TileRow("picture", pixels),
                    TileRow("decoded again", restored),
                    TileRow(f"error × {ERROR_GAIN}", error_map(codec.pictures, pixels, restored)),
                ],
                caption="What the encoder keeps. The error is the largest difference among the channels of a pixel, "
                f"with colors multiplied by their opacity; white is {1 / ERROR_GAIN:g} of the range or more.",
            ),
            render_tiles(
                _channel_rows(codec, pixels[:1], latents[:1]),
                ["values", "decoded alone", "decoded without it"],
                "The latent channels of the first picture. Left: the values of the channel, from black (−1) to white "
                "(1). Middle: what is decoded if all other channels are 0. Right: what is decoded if this channel is "
                "0.",
            ),
            render_tiles(
                _noising_rows(subject, codec, pixels[:1], latents[:1]),
                [f"σ/α = {format_short(ratio)}" for ratio in RATIOS],
                "The forward process on pixels (first row) and on latents, scaled to variance 1. Noisy latents are "
                "not a picture. So the second row shows what is decoded from them, and the third row their first "
                "channel.",
            ),
            *_walks(subject, codec, pixels, latents),
        )
    )


def _pictures(subject: Subject, codec: LatentCodec) -> UInt8Images:
    """Held-out pictures; of a model folder, the example alone."""
    if subject.data is None:
        with torch.no_grad():
            return codec.decode(subject.x0).cpu()
    side: Subset = subject.data.held_out
    return side.pixels(torch.arange(min(SHOWN, len(side))))


def _describe(codec: LatentCodec, psnr: float, number: int) -> str:
    pictures, (channels, height, width) = codec.pictures, codec.shape
    share = pictures.channels * pictures.height * pictures.width / (channels * height * width)
    return (
        "The diffusion process of this model runs on latents instead of pixels (Rombach et al. 2022). An encoder "
        f"turns a picture of {pictures.width}×{pictures.height} pixels into latents: {channels} channels of "
        f"{width}×{height} numbers, {share:.3g} times fewer numbers than in the picture. A decoder turns the result "
        "of sampling back into a picture. Both are trained before the diffusion model and do not change with it. On "
        f"{number} held-out pictures, the PSNR (peak signal-to-noise ratio) of encoding and decoding is {psnr:.1f} "
        "dB. Details that are lost there cannot be in a sample."
    )


def error_map(pictures: Pictures, a: UInt8Images, b: UInt8Images) -> UInt8[Tensor, "b 1 h w"]:
    """The largest difference of the premultiplied channels of each pixel, brightened: uint8 (B, 1, H, W)."""
    error = (pictures.encode(a) - pictures.encode(b)).abs().amax(1, keepdim=True) / 2
    return (255 * (ERROR_GAIN * error).clamp(max=1)).round().to(torch.uint8)


def _channel_rows(codec: LatentCodec, pixels: UInt8Images, latents: ModelSpace) -> list[TileRow]:
    """For each latent channel: its values enlarged to the picture's size, the channel alone, and all others."""
    side = pixels.shape[2:]
    rows = []
    for channel in range(latents.shape[1]):
        alone, without = torch.zeros_like(latents), latents.clone()
        alone[:, channel], without[:, channel] = latents[:, channel], 0
        values = torch.nn.functional.interpolate(latents[:, channel : channel + 1], size=side, mode="nearest")
        with torch.no_grad():
            shown = [codec.decode(alone), codec.decode(without)]
        cells = [_gray(values, codec.pictures), *shown]
        rows.append(TileRow(f"channel {channel + 1}", torch.cat(cells)))
    return rows


def _gray(values: ModelSpace, pictures: Pictures) -> UInt8Images:
    """Numbers in [-1, 1] as opaque gray pictures in the mode of `pictures`."""
    gray = (127.5 * (values.clamp(-1, 1) + 1)).round().to(torch.uint8)
    color = gray.expand(-1, pictures.channels - pictures.has_alpha, -1, -1)
    return torch.cat([color, torch.full_like(gray, 255)], 1) if pictures.has_alpha else color


def _noising_rows(subject: Subject, codec: LatentCodec, pixels: UInt8Images, latents: ModelSpace) -> list[TileRow]:
    """x_t of one picture at several noise levels: in pixels, in latents decoded, and a latent channel."""
    images, noise = codec.pictures.encode(pixels), Seeded([subject.seed])
    steps = []
    for ratio in RATIOS:
        scale = (1 + ratio**2) ** -0.5
        in_pixels, in_latents = ((x + ratio * noise(x)) * scale for x in (images, latents))
        with torch.no_grad():
            decoded = codec.decode(in_latents)
        first = torch.nn.functional.interpolate(in_latents[:, :1], size=pixels.shape[2:], mode="nearest")
        steps.append((codec.pictures.decode(in_pixels), decoded, _gray(first, codec.pictures)))
    names = ("pixels", "latents, decoded", "latents, channel 1")
    return [TileRow(name, torch.cat(cells)) for name, cells in zip(names, zip(*steps, strict=True), strict=True)]


def _walks(subject: Subject, codec: LatentCodec, pixels: UInt8Images, latents: ModelSpace) -> list[str]:
    """The way from one picture to another: blended in pixels, and in latents; and from one label to another."""
    parts = []
    if len(pixels) > 1:
        weights = torch.tensor(WEIGHTS).reshape(-1, 1, 1, 1)
        images = codec.pictures.encode(pixels[:2])
        with torch.no_grad():
            along = codec.decode(torch.lerp(latents[:1], latents[1:2], weights))
        blended = codec.pictures.decode(torch.lerp(images[:1], images[1:], weights))
        parts.append(
            render_tiles(
                [TileRow("pixels", blended), TileRow("latents", along)],
                [format_short(weight) for weight in WEIGHTS],
                "From one picture to another on a straight line, in pixels and in latents. The autoencoder is not "
                "trained on the points between two pictures, so both rows look like a blend of the two. To find "
                "points in between that look like real pictures, the diffusion model is needed.",
            )
        )
    labels = codec.pictures.labels
    if len(labels) > 1:
        model = subject.model
        mixtures = [{labels[0]: 1 - weight, labels[1]: weight} for weight in WEIGHTS]
        cond = model.condition(mixtures, len(WEIGHTS))
        samples = sample_images(model, [subject.seed] * len(WEIGHTS), cond)
        parts.append(
            render_tiles(
                [TileRow("label", codec.decode_samples(samples))],
                [format_short(weight) for weight in WEIGHTS],
                f"From the label “{labels[0]}” to “{labels[1]}”: the same noise, sampled with a mixture of the two "
                "labels' embeddings (the learned vectors of the labels). These are the two spaces: the latents hold "
                "what a picture looks like, the embeddings hold what it shows.",
            )
        )
    return parts
