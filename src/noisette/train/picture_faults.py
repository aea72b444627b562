"""What is wrong with the pictures of a run, or with what it makes of their colours."""

from .evidence import Evidence, Fault, many

FEW, RARE = 100, 8  # training pictures; of a label


def too_few(e: Evidence) -> Fault | None:
    """So few that little can be learned of them but themselves."""
    n = e.pictures
    if not 0 < n < FEW:
        return None
    seen = max((int(r["images"]) for r in e.rows), default=0)
    return Fault(
        "too few pictures",
        f"{n} pictures to train on, each seen {seen / n:,.0f} times",
        f"give {FEW} or more; until then --dropout 0.2, and --flip if a mirrored picture is as good",
    )


def rare_labels(e: Evidence) -> Fault | None:
    """Labels that a handful of pictures have."""
    if e.data is None:
        return None
    rows = {f.row: f.label for f in e.data.files if f.split == "train"}
    counts = {name: sum(label == name for label in rows.values()) for name in e.data.pictures.labels}
    rare = sorted((n, name) for name, n in counts.items() if n < RARE)
    if not rare:
        return None
    shown = ", ".join(f"{name} ({n})" for n, name in rare[:6]) + (f" and {len(rare) - 6} more" if len(rare) > 6 else "")
    return Fault(
        "labels too rare",
        f"{many(len(rare), 'label')} of {len(counts)} with fewer than {RARE} pictures to train on: {shown}",
        "join them with labels that look alike, or add pictures: asked for, they come out as copies or as anything",
    )


TWINS = 0.05  # of held-out pictures that are copies of training pictures


def twins(e: Evidence) -> Fault | None:
    """Held-out pictures that are in the training set too: every figure flatters the model."""
    rows = e.of("checkup")
    if not rows or rows[-1]["checkup"]["expected"]["low"] <= TWINS:
        return None
    share = rows[-1]["checkup"]["expected"]["value"]
    return Fault(
        "near duplicates on both sides",
        f"{100 * share:.0f} % of the held-out pictures have a twin among the training pictures",
        "remove near copies from the folder (noisette scan lists groups of them), and train anew",
    )


DRIFT = 8 / 255  # of brightness or contrast, that is seen at once


def colour_drift(e: Evidence) -> Fault | None:
    """Samples that are brighter, darker, paler than the pictures."""
    rows = e.of("checkup")
    if not rows:
        return None
    off = []
    for what, words in (("brightness", ("too bright", "too dark")), ("contrast", ("too contrasty", "too pale"))):
        for channel, d in rows[-1]["checkup"]["drift"][what].items():
            if abs(d["value"]) > max(3 * d["error"], DRIFT):
                off.append((abs(d["value"]), f"{channel} {255 * abs(d['value']):.0f} levels {words[d['value'] < 0]}"))
    if not off:
        return None
    return Fault(
        "colour drift",
        f"of 255: {', '.join(words for _, words in sorted(off, reverse=True)[:4])}",
        "train for longer: colours are settled at the highest noise, last of all; noisette evaluate measures it finely",
    )
