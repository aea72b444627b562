"""The explain report: its chapters, in reading order, and the page made of them."""

from collections.abc import Callable
from html import escape

from ...io.version import __version__
from ..viz import chart, tiles, unet
from ..viz.page import heading, paragraph, render_page
from . import (
    added_noise,
    closed_form,
    conditioning,
    distillation,
    forward_process,
    interpolation,
    latent_space,
    memorization,
    network,
    prediction,
    reverse_process,
    semantic_directions,
    solvers,
    tradeoff,
    training_progress,
)
from .subject import Subject

CHAPTERS: dict[str, tuple[str, Callable[[Subject], str]]] = {  # HTML id → (title, renderer)
    "forward_process": ("The forward process: adding noise", forward_process.render_chapter),
    "closed_form": ("Any noise level in one step", closed_form.render_chapter),
    "prediction": ("What the network predicts", prediction.render_chapter),
    "latent_space": ("Latents and their two spaces", latent_space.render_chapter),
    "network": ("The network and its feature maps", network.render_chapter),
    "reverse": ("The reverse process: removing noise", reverse_process.render_chapter),
    "added_noise": ("Why DDPM adds noise", added_noise.render_chapter),
    "solvers": ("Samplers and the number of steps", solvers.render_chapter),
    "distillation": ("A student and its teacher", distillation.render_chapter),
    "training_progress": ("Samples during training", training_progress.render_chapter),
    "conditioning": ("Labels and guidance", conditioning.render_chapter),
    "interpolation": ("Interpolation between noises", interpolation.render_chapter),
    "hspace": ("Directions in h-space", semantic_directions.render_chapter),
    "memorization": ("Are the samples copies?", memorization.render_chapter),
    "tradeoff": ("Quality, diversity and speed", tradeoff.render_chapter),
}

STYLE = """
nav ol { columns: 2 18rem; padding-left: 1.6rem; } a { color: inherit; text-underline-offset: .18em; }
h2 { scroll-margin-top: 1rem; border-top: 1px solid var(--line); padding-top: 1.4rem; }
"""


def render_report(subject: Subject, on_chapter: Callable[[str], None] = lambda name: None) -> str:
    """The whole page as HTML. `on_chapter` is called with the title of each chapter before it is computed."""
    parts: list[str] = []
    for name, (title, chapter) in CHAPTERS.items():
        on_chapter(title)
        parts += [heading(f"{len(parts) // 2 + 1}. {title}", name), chapter(subject)]
    style = chart.STYLE + tiles.STYLE + unet.STYLE + STYLE
    return render_page(
        f"How {subject.name} generates pictures",
        *_render_introduction(subject),
        *parts,
        style=style,
        script=tiles.SCRIPT,
    )


def _render_introduction(subject: Subject) -> list[str]:
    model, pictures = subject.model, subject.model.pictures
    weights = sum(p.numel() for p in model.parameters())
    sampling = model.config.sampling
    about = (
        f"{subject.name} is a diffusion model with {weights:,} weights. It generates {pictures.mode} pictures of "
        f"{pictures.width}×{pictures.height} pixels"
        + (f" with {len(pictures.labels)} labels" if pictures.labels else "")
        + f". Unless a figure says otherwise, its samples start from the noise of seed {subject.seed}"
        + (f" and have the label “{subject.label}”" if subject.label else "")
        + f". They are drawn with the model's defaults: the sampler {sampling.sampler} in {sampling.steps} steps, at "
        f"the times of the {sampling.grid} grid."
    )
    how = (
        f"All figures were computed from this model and its training pictures with Noisette {__version__} "
        f"(model {model.hash[:12]}). The arrow keys move the sliders."
    )
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, (title, _) in CHAPTERS.items())
    return [paragraph(about), paragraph(how, faint=True), f'<nav aria-label="Chapters"><ol>{links}</ol></nav>']
