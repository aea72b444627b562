"""The chapters in the order in which one would tell them, and the page that they make."""

from collections.abc import Callable
from html import escape

from ... import __version__
from ...viz import chart, tiles, unet
from ...viz.page import heading, page, paragraph
from . import (
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
from .subject import Subject

CHAPTERS: dict[str, tuple[str, Callable[[Subject], str]]] = {
    "noising": ("A picture drowns in noise", noising.chapter),
    "jump": ("Straight to any time", jump.chapter),
    "question": ("What the network is asked", question.chapter),
    "network": ("The network, and what it sees", network.chapter),
    "reverse": ("Back from noise, step by step", reverse.chapter),
    "added": ("Why DDPM adds noise", added.chapter),
    "solvers": ("Few steps or many", solvers.chapter),
    "growing": ("How the model grew", growing.chapter),
    "asked": ("Asking for something", asked.chapter),
    "sphere": ("The sphere of noises", sphere.chapter),
    "meaning": ("The space half way", meaning.chapter),
    "originals": ("Is it new?", originals.chapter),
    "worth": ("Good, varied, fast", worth.chapter),
}

STYLE = """
nav ol { columns: 2 18rem; padding-left: 1.6rem; } a { color: inherit; text-underline-offset: .18em; }
h2 { scroll-margin-top: 1rem; border-top: 1px solid var(--line); padding-top: 1.4rem; }
"""


def report(subject: Subject, tick: Callable[[str], None] = lambda name: None) -> str:
    """The whole page. `tick` is called with each chapter's title before it is computed."""
    told: list[str] = []
    for name, (title, chapter) in CHAPTERS.items():
        tick(title)
        told += [heading(f"{len(told) // 2 + 1}. {title}", name), chapter(subject)]
    style = chart.STYLE + tiles.STYLE + unet.STYLE + STYLE
    return page(f"How {subject.name} draws", *_opening(subject), *told, style=style, script=tiles.SCRIPT)


def _opening(subject: Subject) -> list[str]:
    model, pictures = subject.model, subject.model.pictures
    weights = sum(p.numel() for p in model.parameters())
    sampling = model.config.sampling
    about = (
        f"{subject.name} draws {pictures.mode} pictures of {pictures.width}×{pictures.height} pixels"
        + (f" with {len(pictures.labels)} labels" if pictures.labels else "")
        + f", with {weights:,} weights. It was asked to draw"
        + (f" “{subject.label}”" if subject.label else "")
        + f" with seed {subject.seed} wherever nothing else is said, by {sampling.sampler} in {sampling.steps} steps "
        "unless a chapter compares."
    )
    how = (
        "Everything on this page was computed from this one model and its pictures, by the library that trained it "
        f"(Noisette {__version__}, model {model.hash[:12]}). Sliders move with the arrow keys."
    )
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, (title, _) in CHAPTERS.items())
    return [paragraph(about), paragraph(how, faint=True), f'<nav aria-label="Chapters"><ol>{links}</ol></nav>']
