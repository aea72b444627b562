"""Curves of a schedule and of a run, as charts of a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..schedule import Schedule
from .chart import COLOURS, DASHES, Axis, Line, chart, charts

POINTS = 201


def curves(schedule: Schedule, points: int = POINTS) -> tuple[Tensor, Tensor, Tensor]:
    """t, ᾱ_t and ln SNR_t; ᾱ is that of the variance-preserving process with the same SNR."""
    t = torch.linspace(0, 1, points, dtype=torch.float64)[1:]
    alpha, sigma = schedule(t)
    return t, alpha**2 / (alpha**2 + sigma**2), 2 * (alpha / sigma).log()


def schedule_charts(found: Mapping[str, Schedule], caption: str) -> str:
    """ᾱ and ln SNR over time; the first schedule is thick."""
    lines = []
    for i, (name, schedule) in enumerate(found.items()):
        t, alpha_bar, log_snr = (c.tolist() for c in curves(schedule))
        style: dict[str, Any] = {"colour": i % COLOURS, "dash": i // 4 % len(DASHES), "marked": i == 0}
        lines.append((Line(name, t, alpha_bar, **style), Line(name, t, log_snr, **style)))
    return charts(
        chart(
            Axis("t"), Axis("signal left, $ᾱ_t$", low=0, high=1), [a for a, _ in lines],
            "Signal left over time: from 1 at t = 0 down to about 0 at t = 1",
        ),
        chart(
            Axis("t"), Axis("ln SNR", low=-12, high=12), [b for _, b in lines],
            "Log signal-to-noise ratio over time, falling throughout",
        ),
        caption=caption,
    )  # fmt: skip


def loss_charts(journal: Sequence[Mapping[str, Any]]) -> str:
    """The training loss, and that on held-out pictures by noise level, over the images that a run has seen."""
    loss = [row for row in journal if "loss" in row]
    held = [row for row in journal if "held_out" in row]
    images, parts = Axis("images seen"), []
    if len(loss) > 1:
        line = Line("", [r["images"] for r in loss], [r["loss"] for r in loss])
        parts.append(
            chart(images, Axis("loss", log=True), [line], "The training loss over the images seen", keys=False)
        )
    if len(held) > 1:
        seen = [r["images"] for r in held]
        lines = [
            Line(level, seen, [r["held_out"][level] for r in held], i, marked=level == "all")
            for i, level in enumerate(held[0]["held_out"])
        ]
        parts.append(chart(images, Axis("held-out loss, by noise", log=True), lines, "The held-out loss by noise"))
    last = f", {loss[-1]['loss']:.3g} at the end" if loss else ""
    caption = f"Training loss{last}, and the loss on pictures that are never trained on."
    return charts(*parts, caption=caption) if parts else ""
