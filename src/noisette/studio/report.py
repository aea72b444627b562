"""What a data set holds and how a run goes, as parts of the page."""

from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from ..data import Scan
from ..data.manifest import Manifest
from ..edit.run import rows
from ..viz.curves import loss_charts
from ..viz.png import read_png, to_image
from .tiles import image
from .trainer import Standing

SHOWN = 12  # of a list that may be long


def facts(rows: Mapping[str, object]) -> str:
    """Names and what they are."""
    lines = (f'<tr><th scope="row">{escape(k)}</th><td>{escape(str(v))}</td></tr>' for k, v in rows.items() if v)
    return f'<table class="n-facts"><tbody>{"".join(lines)}</tbody></table>'


def counted(counts: Mapping[str, int]) -> str:
    """bread 20, sword 18, …"""
    shown = [f"{name} {number}" for name, number in list(counts.items())[:SHOWN]]
    return ", ".join(shown) + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")


def of_scan(found: Scan) -> str:
    """What was uploaded, before anything is trained on it."""
    told: dict[str, Any] = found.to_json()
    left_out = [f"{q['name']} {q['reason']}" for q in told["quarantined"]]
    return facts(
        {
            "Pictures": told["pictures"],
            "Distinct": told["distinct"],
            "Kind": told["mode"],
            "Sizes": counted(told["sizes"]),
            "Labels": counted(told["labels"]),
            "Without a label": told["unlabelled"] if told["labels"] else 0,
            "Colours": told["colours"] or "more than are counted",
            "Near duplicates": f"{len(told['near_duplicates'])} groups" if told["near_duplicates"] else "",
            "Mirrors fit": "yes" if told["flips"] else "no",
            "Left out": "; ".join(left_out[:SHOWN]),
            "Notes": "; ".join(told["notes"]),
        }
    )


def of_data(run: Path) -> str:
    """The data set that a run was made of."""
    found = Manifest.read(run / "data.json")
    pictures, sides = found.pictures, Counter(f.split for f in found.files)
    return facts(
        {
            "Pictures": f"{len(found.files)} ({sides['train']} to train on, {sides['held_out']} held out)",
            "Copies": sum(f.copy_of is not None for f in found.files),
            "Kind": f"{pictures.mode}, {pictures.width}×{pictures.height}" + ", pixel art" * pictures.pixel_art,
            "Labels": counted(Counter(f.label for f in found.files if f.label is not None)),
            "Attributes": ", ".join(pictures.attributes),
            "Left out": "; ".join(f"{q.name} {q.reason}" for q in found.quarantined[:SHOWN]),
            "Notes": "; ".join(found.notes),
        }
    )


def of_run(standing: Standing) -> str:
    """Where a run is, in a sentence."""
    p = standing.progress
    words = f"{standing.name}: {standing.state}"
    if standing.words:
        words += f". {standing.words}"
    elif p and standing.state in ("training", "stopping", "stopped"):
        words += f", {p['images']:,} of {p['total']:,} images, {p['rate']:.0f} a second"
        words += f", {p['left'] / 60:.1f} minutes left" if standing.state == "training" else ""
    return escape(words)


def curves(run: Path) -> str:
    """The losses of a run over the images that it saw, from its journal."""
    return loss_charts(rows(run / "metrics.jsonl"))


def growth(run: Path) -> str:
    """What the run drew from one fixed noise, the newest first."""
    parts = []
    for path in sorted((run / "samples").glob("*.png"), reverse=True):
        pixels, told = read_png(path)
        seen = int(told["images"])
        words = "before the first step" if seen == 0 else f"after {seen:,} images"
        picture = image(to_image(pixels), f"Samples {words}", 256)
        parts.append(f"<figure>{picture}<figcaption>{words}</figcaption></figure>")
    if not parts:
        return ""
    return (
        f'<div class="n-growth" tabindex="0" role="region" aria-label="Samples as the run grew">{"".join(parts)}</div>'
    )
