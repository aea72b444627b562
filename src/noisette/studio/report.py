"""HTML about data sets and runs."""

from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from ..data import ScanResult
from ..data.manifest import Manifest
from ..data.png import read_png, to_image
from ..io.metrics_log import read_metrics
from ..report.viz.chart import loss_charts
from .html_parts import render_image
from .trainer import RunStatus

MAX_LISTED = 12  # items shown of a list


def render_table(rows: Mapping[str, object]) -> str:
    """A table of names and values, without empty values."""
    lines = (f'<tr><th scope="row">{escape(k)}</th><td>{escape(str(v))}</td></tr>' for k, v in rows.items() if v)
    return f'<table class="n-facts"><tbody>{"".join(lines)}</tbody></table>'


def format_counts(counts: Mapping[str, int]) -> str:
    """Names with their counts: bread 20, sword 18, …"""
    shown = [f"{name} {number}" for name, number in list(counts.items())[:MAX_LISTED]]
    return ", ".join(shown) + (f" and {len(counts) - MAX_LISTED} more" if len(counts) > MAX_LISTED else "")


def render_scan(scan: ScanResult) -> str:
    """A table about scanned pictures."""
    summary: dict[str, Any] = scan.to_json()
    left_out = [f"{q['name']} {q['reason']}" for q in summary["quarantined"]]
    return render_table(
        {
            "Pictures": summary["pictures"],
            "Distinct": summary["distinct"],
            "Mode": summary["mode"],
            "Sizes": format_counts(summary["sizes"]),
            "Labels": format_counts(summary["labels"]),
            "Without a label": summary["unlabeled"] if summary["labels"] else 0,
            "Colors": summary["colors"] or "many",
            "Near duplicates": f"{len(summary['near_duplicates'])} groups" if summary["near_duplicates"] else "",
            "Safe to mirror": "yes" if summary["flip_safe"] else "no",
            "Left out": "; ".join(left_out[:MAX_LISTED]),
            "Notes": "; ".join(summary["notes"]),
        }
    )


def render_dataset(run: Path) -> str:
    """A heading and a table about the data set of a run."""
    manifest = Manifest.read(run / "data.json")
    pictures, sides = manifest.pictures, Counter(f.split for f in manifest.files)
    return "<h2>Data set</h2>" + render_table(
        {
            "Pictures": f"{len(manifest.files)} ({sides['train']} for training, {sides['held_out']} held out)",
            "Copies": sum(f.copy_of is not None for f in manifest.files),
            "Mode": f"{pictures.mode}, {pictures.width}×{pictures.height}" + ", pixel art" * pictures.pixel_art,
            "Labels": format_counts(Counter(f.label for f in manifest.files if f.label is not None)),
            "Attributes": ", ".join(pictures.attributes),
            "Left out": "; ".join(f"{q.name} {q.reason}" for q in manifest.quarantined[:MAX_LISTED]),
            "Notes": "; ".join(manifest.notes),
        }
    )


def render_status(status: RunStatus) -> str:
    """State and progress of a run in a sentence."""
    p = status.progress
    text = f"{status.name}: {status.state}"
    if status.message:
        text += f". {status.message}"
    elif p and status.state in ("training", "stopping", "stopped"):
        text += f", {p['images']:,} of {p['total']:,} images, {p['rate']:.0f} per second"
        seconds = p.get("seconds_left", p.get("left"))  # "left" in logs written by version 0.1.0
        text += f", {seconds / 60:.1f} minutes left" if status.state == "training" and seconds is not None else ""
    elif status.state == "training":
        text += ", reading the pictures and planning the time"
        text += f", {status.seconds:.0f} s so far" if status.seconds else ""
    return escape(text)


def render_curves(run: Path) -> str:
    """A heading and charts of the losses in a run's metrics.jsonl; empty where there are none yet."""
    charts = loss_charts(read_metrics(run / "metrics.jsonl"))
    return f"<h2>Loss</h2>{charts}" if charts else ""


def render_growth(run: Path) -> str:
    """A heading and the sample sheets of a run, newest first; empty where there are none yet."""
    parts = []
    for path in sorted((run / "samples").glob("*.png"), reverse=True):
        pixels, metadata = read_png(path)
        images = int(metadata["images"])
        caption = "before training" if images == 0 else f"after {images:,} images"
        picture = render_image(to_image(pixels), f"Samples {caption}", 256)
        parts.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
    if not parts:
        return ""
    return (
        '<h2>Samples during training</h2><div class="n-growth" tabindex="0" role="region" '
        f'aria-label="Samples during training">{"".join(parts)}</div>'
    )
