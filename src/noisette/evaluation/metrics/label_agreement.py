"""Label agreement: the share of samples that a classifier, fitted to the training pictures, reads as their label."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from ...errors import InputError
from ...shapes import UInt8Images
from .features import FeatureExtractor, premultiply
from .interval import ConfidenceInterval, wilson_interval

Labels = Int[Tensor, "b"]
OtherPixels = UInt8[Tensor, "n _ _ _"]  # other pictures, and their labels
OtherLabels = Int[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class LabelClassifier:
    """A classifier of pictures, and its accuracy on held-out ones, which no model can be expected to exceed."""

    name: str
    accuracy: ConfidenceInterval  # share of held-out pictures whose label it reads correctly
    classifier: Any  # of scikit-learn: .predict((N, D) array) -> (N,) class numbers
    extractor: FeatureExtractor | None  # of its inputs; None: pixels

    def __call__(self, pixels: UInt8Images) -> Labels:
        """The predicted class of each picture, (b,) int64."""
        return torch.from_numpy(self.classifier.predict(_classifier_inputs(pixels, self.extractor))).long()

    def label_agreement(self, pixels: UInt8Images, labels: Labels) -> ConfidenceInterval:
        """The share of pictures whose predicted class is their label, of those that have one (label ≥ 0)."""
        labeled = labels >= 0
        return wilson_interval(int((self(pixels[labeled]) == labels[labeled]).sum()), int(labeled.sum()))


def train_label_classifier(
    train: UInt8Images,
    train_labels: Labels,
    held_out: OtherPixels,
    held_out_labels: OtherLabels,
    extractor: FeatureExtractor,
) -> LabelClassifier:
    """The better of two classifiers: a support vector machine on pixels, and a logistic regression on features.

    Both are fitted to the training pictures with a label (≥ 0) and compared on the held-out ones. Raises InputError for
    fewer than two classes, for no held-out label, and without scikit-learn.
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC
    except ImportError as missing:
        raise InputError("label agreement needs scikit-learn: pip install 'noisette[metrics]'") from missing
    labeled, labeled_held_out = train_labels >= 0, held_out_labels >= 0
    if len(train_labels[labeled].unique()) < 2 or not labeled_held_out.any():
        raise InputError("label agreement needs training pictures of two labels, and held-out pictures with labels")
    kinds = (
        ("support vector machine on pixels", SVC(C=10), None),
        ("logistic regression on features", make_pipeline(StandardScaler(), LogisticRegression(C=0.01)), extractor),
    )
    classifiers = []
    truth = held_out_labels[labeled_held_out]
    for name, classifier, features in kinds:
        classifier.fit(_classifier_inputs(train[labeled], features), train_labels[labeled].numpy())
        predicted = torch.from_numpy(
            classifier.predict(_classifier_inputs(held_out[labeled_held_out], features))
        ).long()
        accuracy = wilson_interval(int((predicted == truth).sum()), len(truth))
        classifiers.append(LabelClassifier(name, accuracy, classifier, features))
    return max(classifiers, key=lambda candidate: candidate.accuracy.value)


def _classifier_inputs(pixels: UInt8Images, extractor: FeatureExtractor | None) -> np.ndarray:
    return (premultiply(pixels).flatten(1) if extractor is None else extractor(pixels)).numpy()
