"""Are samples what they were asked to be? An independent classifier, taught by the training split alone, reads them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from ..errors import InputError
from ..shapes import Bytes
from .features import Extractor, light
from .interval import Interval, wilson

Labels = Int[Tensor, "b"]
Others = UInt8[Tensor, "n _ _ _"]  # other pictures, and their labels
OtherLabels = Int[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class Reader:
    """A classifier of pictures, and how well it reads held-out ones: no model can be expected to be read better."""

    name: str
    known: Interval  # share of held-out pictures that are read as what they are
    classifier: Any  # of scikit-learn: .predict((N, D) array) -> (N,) class numbers
    extractor: Extractor | None  # None: it reads pixels

    def __call__(self, pixels: Bytes) -> Labels:
        """The class that each picture is read as."""
        return torch.from_numpy(self.classifier.predict(_rows(pixels, self.extractor))).long()

    def agreement(self, pixels: Bytes, asked: Labels) -> Interval:
        """The share of pictures that are read as what they were asked to be; of those that were asked for something."""
        named = asked >= 0
        return wilson(int((self(pixels[named]) == asked[named]).sum()), int(named.sum()))


def reader(
    train: Bytes, train_labels: Labels, held_out: Others, held_out_labels: OtherLabels, extractor: Extractor
) -> Reader:
    """The better of two: a support vector machine on pixels, and a logistic regression on features.

    Which is better is seen on the held-out pictures. Needs at least two classes with training pictures.
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC
    except ImportError as missing:
        raise InputError("label agreement needs scikit-learn: pip install 'noisette[metrics]'") from missing
    told, asked = train_labels >= 0, held_out_labels >= 0
    if len(train_labels[told].unique()) < 2 or not asked.any():
        raise InputError("label agreement needs training pictures of two labels, and held-out pictures with labels")
    kinds = (
        ("support vector machine on pixels", SVC(C=10), None),
        ("logistic regression on features", make_pipeline(StandardScaler(), LogisticRegression(C=0.01)), extractor),
    )
    readers = []
    for name, classifier, through in kinds:
        classifier.fit(_rows(train[told], through), train_labels[told].numpy())
        read = torch.from_numpy(classifier.predict(_rows(held_out[asked], through))).long()
        known = wilson(int((read == held_out_labels[asked]).sum()), int(asked.sum()))
        readers.append(Reader(name, known, classifier, through))
    return max(readers, key=lambda one: one.known.value)


def _rows(pixels: Bytes, extractor: Extractor | None) -> np.ndarray:
    return (light(pixels).flatten(1) if extractor is None else extractor(pixels)).numpy()
