"""Sets of pictures scored against the same held-out ones, so that each figure can be read beside the others."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from ...diffusion.noise import make_generator
from ...shapes import UInt8Images
from .color import ColorDrift, PaletteStats, measure_color_drift, measure_palette
from .distribution import PCA, PRDC, compute_prdc, frechet_distance, frechet_distance_infinity, min_samples_for_fid
from .features import FeatureExtractor, Features, OtherFeatures
from .interval import ConfidenceInterval
from .kid import GaussianKernel, kid, kid_bootstrap, kid_interval
from .label_agreement import LabelClassifier, Labels
from .memorization import Memorization, closeness_p_value, measure_memorization

PCA_DIMS = 64  # principal components for the Fréchet distance of small sets
PRDC_RESAMPLES = 20  # random subsets, as large as the held-out set, that PRDC is averaged over


@dataclass(frozen=True)
class SampleSet:
    """A set of pictures to score."""

    name: str
    pixels: UInt8Images
    labels: Labels | None = None  # label number of each; -1: none
    description: str = ""
    copy_candidates: UInt8[Tensor, "n _ _ _"] | None = None  # pictures whose copies are counted instead of these


@dataclass(frozen=True)
class SetScore:
    """The figures of a set of pictures."""

    name: str
    n: int
    kid: ConfidenceInterval  # × 1000
    mmd: ConfidenceInterval  # MMD² × 1000 with a Gaussian kernel
    prdc: PRDC
    fd: float | None  # Fréchet distance in PCA_DIMS principal components of the training pictures; None: too few
    fid: float | None  # FID∞, in all dimensions of the features; None: fewer than two pictures a dimension
    agreement: ConfidenceInterval | None  # share whose label the classifier reads correctly; None: no labels
    memorized: ConfidenceInterval  # share of copies of training pictures
    closeness_p_value: float  # small: the set lies closer to the training pictures than held-out pictures do
    drift: ColorDrift
    palette: PaletteStats
    description: str = ""


class SampleEvaluator:
    """Scores sets of pictures against the held-out pictures of a data set."""

    def __init__(
        self,
        train: UInt8Images,
        held_out: UInt8[Tensor, "n _ _ _"],
        extractor: FeatureExtractor,
        label_classifier: LabelClassifier | None = None,
        flips: bool = False,
        max_shift: int = 0,
    ) -> None:
        """train, held_out: uint8 (b, c, h, w). flips, max_shift: a mirrored training picture, or one moved by up to so
        many pixels, counts as that picture."""
        self.train, self.held_out, self.extractor, self.label_classifier = train, held_out, extractor, label_classifier
        self.flips, self.max_shift = flips, max_shift
        self.reference, training = extractor(held_out), extractor(train)
        dims = min(PCA_DIMS, len(held_out) // 2, len(train) // 4)
        self.pca = PCA.fit(training, dims) if dims > 0 else None
        self.kernel = GaussianKernel.from_median_distance(self.reference)
        self.held_out_distances = self.measure_memorization(held_out).distance

    def measure_memorization(self, pixels: UInt8Images) -> Memorization:
        return measure_memorization(pixels, self.train, flips=self.flips, max_shift=self.max_shift)

    def __call__(self, sample_set: SampleSet) -> SetScore:
        features = self.extractor(sample_set.pixels)
        copies = self.measure_memorization(
            sample_set.pixels if sample_set.copy_candidates is None else sample_set.copy_candidates
        )
        agreement = None
        if self.label_classifier is not None and sample_set.labels is not None and (sample_set.labels >= 0).any():
            agreement = self.label_classifier.label_agreement(sample_set.pixels, sample_set.labels)
        return SetScore(
            name=sample_set.name,
            n=len(sample_set.pixels),
            kid=kid_interval(self.reference, features).scaled(1000.0),
            mmd=kid_interval(self.reference, features, kernel=self.kernel).scaled(1000.0),
            prdc=self.prdc(features),
            fd=self.fd(features),
            fid=self.fid(features),
            agreement=agreement,
            memorized=copies.share,
            closeness_p_value=closeness_p_value(copies.distance, self.held_out_distances),
            drift=measure_color_drift(sample_set.pixels, self.train),
            palette=measure_palette(sample_set.pixels),
            description=sample_set.description,
        )

    def prdc(self, features: Features) -> PRDC:
        """PRDC of equal numbers of pictures, since only those compare: the mean over PRDC_RESAMPLES random subsets."""
        generator, n = make_generator("fidelity"), min(len(features), len(self.reference))

        def subset(of: Features) -> OtherFeatures:  # at random: pictures lie in the order of their labels
            return of[torch.randperm(len(of), generator=generator)[:n]]

        figures = [asdict(compute_prdc(subset(self.reference), subset(features))) for _ in range(PRDC_RESAMPLES)]
        return PRDC(**{key: sum(each[key] for each in figures) / PRDC_RESAMPLES for key in figures[0]})

    def fd(self, features: Features) -> float | None:
        if self.pca is None or len(features) <= len(self.pca.components):
            return None
        return frechet_distance(self.pca(self.reference), self.pca(features))

    def fid(self, features: Features) -> float | None:
        if min(len(features), len(self.reference)) < min_samples_for_fid(features):
            return None
        return frechet_distance_infinity(self.reference, features)


def score_with_baselines(
    evaluator: SampleEvaluator,
    model: SampleSet,
    extra_sets: Sequence[SampleSet] = (),
    on_score: Callable[[SetScore], None] = lambda score: None,
) -> tuple[SetScore, ...]:
    """Score the model beside three sets that tell what its figures mean, in this order:

    real data: as many real pictures, of one half of the training pictures; no model can be expected to do better.
    model, then `extra_sets` such as other models.
    training copies: as many training pictures of the other half, for a model that copies.
    noise: every pixel at random.

    on_score: called with each score when it is ready.
    """
    train = evaluator.train
    n = min(len(model.pixels), len(train) // 2)
    half, rest = torch.randperm(len(train), generator=make_generator("half")).split(
        [len(train) // 2, len(train) - len(train) // 2]
    )
    noise = torch.randint(0, 256, train[:n].shape, generator=make_generator("broken"), dtype=torch.uint8)

    sets = (
        SampleSet("real data", train[half[:n]], copy_candidates=evaluator.held_out,
                  description="training pictures; copies counted among the held-out ones"),
        model,
        *extra_sets,
        SampleSet("training copies", train[rest[:n]], description="other training pictures"),
        SampleSet("noise", noise, description="every pixel at random"),
    )  # fmt: skip
    scores = []
    for sample_set in sets:
        scores.append(evaluator(sample_set))
        on_score(scores[-1])
    return tuple(scores)


MAX_REFERENCE = 256  # held-out pictures that are used: each costs a pass of the feature network
MIN_REFERENCE = 10  # held-out pictures that KID needs


@dataclass(frozen=True)
class QuickMetrics:
    """The figures of an evaluation during training."""

    kid: ConfidenceInterval | None  # × 1000; None: no feature network, or too few held-out pictures
    kid_resamples: tuple[float, ...]  # × 1000, of its bootstrap; paired between sets of equal size
    copies: ConfidenceInterval  # share of copies of training pictures
    drift: ColorDrift


class QuickEvaluator:
    """Measures samples during training. The features of the real pictures are extracted once."""

    def __init__(
        self,
        train: UInt8Images,
        held_out: UInt8[Tensor, "n _ _ _"],
        extractor: FeatureExtractor | None,
        samples: int,
        flips: bool,
    ) -> None:
        """samples: how many there will be; real data are measured with as many training pictures."""
        self.train, self.flips = train, flips
        self.extractor = extractor if len(held_out) >= MIN_REFERENCE else None
        order = torch.randperm(len(held_out), generator=make_generator("quick"))[:MAX_REFERENCE]
        self.reference = None if self.extractor is None else self.extractor(held_out[order])
        self.held_out_copies = measure_memorization(held_out, train, flips=flips).share  # the rate of false alarms
        some = torch.randperm(len(train), generator=make_generator("quick floor"))[:samples]
        self.real_kid = None if self.extractor is None else self._kid(self.extractor(train[some]))[0]

    def __call__(self, samples: UInt8[Tensor, "m _ _ _"]) -> QuickMetrics:
        share, off = (
            measure_memorization(samples, self.train, flips=self.flips).share,
            measure_color_drift(samples, self.train),
        )
        if self.extractor is None:
            return QuickMetrics(None, (), share, off)
        return QuickMetrics(*self._kid(self.extractor(samples)), share, off)

    def _kid(self, features: Tensor) -> tuple[ConfidenceInterval, tuple[float, ...]]:
        assert self.reference is not None
        draws = kid_bootstrap(self.reference, features) * 1000
        low, high = draws.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
        return ConfidenceInterval(1000 * kid(self.reference, features), low, high), tuple(draws.tolist())
