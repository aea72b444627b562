"""A run's model beside its students: what a few network calls cost in quality, and what they save in time.

    python benchmarks/distill.py RUN OUT [--steps 4 2 1] [--for 5m] [--seed 0] [--n 1000] [--seeds 0 1]

Students of RUN with so many network calls are trained in OUT/STEPS (`noisette distill --any-quality`; a finished one is
not trained again). A Markdown table for each seed of samples: training pictures, the teacher's own way, each student;
KID × 10³ against the held-out pictures, recall, coverage, copies of training pictures, channel means, and the median
time from the call in Python to the pixels of 64 pictures.
"""

import argparse
import statistics
import time
from pathlib import Path

import noisette
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.models.picture_model import PictureModel
from ways import Run, count_calls, measure_training_pictures

BATCH, ROUNDS = 64, 5  # pictures whose time is measured, and how often


def measure_time(model: PictureModel) -> float:
    """Median seconds of drawing BATCH pictures."""
    noisette.draw(model, BATCH, batch=BATCH)
    times = []
    for seed in range(ROUNDS):
        start = time.perf_counter()
        noisette.draw(model, BATCH, seed=seed, batch=BATCH)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 2, 1])
    parser.add_argument("--for", dest="time", default="5m")
    parser.add_argument("--seed", type=int, default=0, help="of the distilling")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the samples")
    given = parser.parse_args()
    students = {
        steps: noisette.distill(
            given.run, given.out / str(steps), steps=steps, seconds=given.time, seed=given.seed, any_quality=True
        ).model
        for steps in given.steps
    }
    run = Run(str(given.run), EfficientNetExtractor())
    models = {"teacher": run.model} | {f"student, {steps}": model for steps, model in students.items()}
    seconds = {name: measure_time(model) for name, model in models.items()}
    for seed in given.seeds:
        print(f"\nseed {seed}, {given.n} samples\n")
        print(f"| | calls | KID × 10³ | recall, coverage | memorized, % | means | {BATCH} pictures, s |")
        print("|---|---|---|---|---|---|---|")
        rows = {"training pictures": measure_training_pictures(run, given.n, seed)}
        for name, model in models.items():
            rows[name] = run.measure(run.draw(model, given.n, seed)) | {"calls": count_calls(model)}
        for name, row in rows.items():
            means = ", ".join(f"{value:.0f}" for value in row["mean"])
            print(
                f"| {name} | {row['calls']} | {row['kid']:.1f} | {row['recall']:.2f}, {row['coverage']:.2f} | "
                f"{100 * row['memorized']:.1f} | {means} | {seconds[name]:.2f} |"
                if name in seconds
                else f"| {name} | | {row['kid']:.1f} | {row['recall']:.2f}, {row['coverage']:.2f} | "
                f"{100 * row['memorized']:.1f} | {means} | |",
                flush=True,
            )


if __name__ == "__main__":
    main()
