"""Evaluate samples of any origin: quality, variety, and the share of copies.

python examples/evaluate_samples.py samples.npy REAL     (floats from 0 to 1, N×C×H×W; a folder of real pictures)
"""

import sys

import numpy as np

import noisette
from noisette.evaluation.verdict import summarize

samples, reference = sys.argv[1:]
evaluation = noisette.evaluate(np.load(samples), reference, value_range=(0, 1))
floor, ours, copycat, noise = evaluation.scores

for score in evaluation.scores:
    print(f"{score.name:8} KID × 1000 {score.kid:6.1f}  recall {score.prdc.recall:.2f}  copies {score.memorized:.2f}")
print("\n".join(summarize(evaluation)))
