"""Problems of a run that come from its pictures, or show in the colors of its samples."""

from ..data.scan_notes import FEW_PICTURES
from ..models.shipped import find_base
from .run_log import Problem, RunLog, pluralize

MIN_PICTURES_PER_LABEL = 8


def too_few_pictures(log: RunLog) -> Problem | None:
    """So few training pictures that the model can do little but memorize them."""
    n = log.training_picture_count
    if log.data is None or not 0 < n < FEW_PICTURES:
        return None
    base = find_base(log.data.pictures.height, log.data.pictures.width) or "a model of many pictures"
    seen = max((int(r["images"]) for r in log.rows), default=0)
    return Problem(
        "too few pictures",
        f"{n} training pictures, and each was seen {seen / n:,.0f} times in training",
        f"give {FEW_PICTURES} pictures or more; until then add --dropout 0.2, --flip if mirrored pictures make sense"
        + ("" if log.origins else f", and --from {base}"),
    )


def rare_labels(log: RunLog) -> Problem | None:
    """Labels with very few training pictures."""
    if log.data is None:
        return None
    rows = {f.row: f.label for f in log.data.files if f.split == "train"}
    counts = {name: sum(label == name for label in rows.values()) for name in log.data.pictures.labels}
    rare = sorted((n, name) for name, n in counts.items() if n < MIN_PICTURES_PER_LABEL)
    if not rare:
        return None
    shown = ", ".join(f"{name} ({n})" for n, name in rare[:6]) + (f" and {len(rare) - 6} more" if len(rare) > 6 else "")
    return Problem(
        "labels too rare",
        f"{pluralize(len(rare), 'label')} of {len(counts)} with fewer than {MIN_PICTURES_PER_LABEL} training pictures: "
        f"{shown}",
        "merge them with similar labels, or add pictures: from so few, a model copies, or it ignores the label",
    )


MAX_LEAKED_SHARE = 0.05  # of the held-out pictures, that may be near copies of training pictures


def split_leakage(log: RunLog) -> Problem | None:
    """Held-out pictures that are in the training set too: all figures then look better than the model is."""
    rows = log.rows_with("evaluation")
    if not rows or rows[-1]["evaluation"]["held_out_copies"]["low"] <= MAX_LEAKED_SHARE:
        return None
    share = rows[-1]["evaluation"]["held_out_copies"]["value"]
    return Problem(
        "near duplicates on both sides",
        f"{100 * share:.0f} % of the held-out pictures have a near copy among the training pictures",
        "remove near copies from the folder (noisette scan lists groups of them), and train again",
    )


VISIBLE_DRIFT = 8 / 255  # difference of brightness or contrast (0 to 1) that is clearly visible


def color_drift(log: RunLog) -> Problem | None:
    """Samples that are brighter, darker or of another contrast than the training pictures."""
    rows = log.rows_with("evaluation")
    if not rows:
        return None
    drifts = []
    for what, words in (
        ("brightness", ("too bright", "too dark")),
        ("contrast", ("too high in contrast", "too low in contrast")),
    ):
        for channel, d in rows[-1]["evaluation"].get("drift", {}).get(what, {}).items():
            if abs(d["value"]) > max(3 * d["error"], VISIBLE_DRIFT):
                drifts.append(
                    (abs(d["value"]), f"{channel} {255 * abs(d['value']):.0f} levels {words[d['value'] < 0]}")
                )
    if not drifts:
        return None
    return Problem(
        "color drift",
        f"on a scale of 0 to 255: {', '.join(words for _, words in sorted(drifts, reverse=True)[:4])}",
        "train for longer: mean colors are learned at the highest noise levels; noisette evaluate measures the drift "
        "more precisely",
    )
