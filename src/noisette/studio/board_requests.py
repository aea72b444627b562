"""The requests of the board: pictures similar to a kept one, and replacements of rejected ones."""

from collections.abc import Sequence
from dataclasses import replace

from ..errors import InputError
from ..sampling.lineage import NoiseLineage
from .session import Board, BoardRequest, BoardSample

DEFAULT_COUNT = 12  # pictures on a board that has fewer, and pictures like one
MAX_BOARD = 192  # pictures
SEEDS_PER_GENERATION = 1000
REPLACEMENT_SEED_START = 10**6  # first seed of the pictures that replace rejected ones


def request_neighbors(board: Board, index: int, degrees: float) -> BoardRequest:
    """DEFAULT_COUNT pictures whose noise is rotated from that of picture `index` by `degrees`."""
    sample = require_unbranched(board.get_sample(index))
    if len(board.samples) + DEFAULT_COUNT > MAX_BOARD:
        raise InputError(
            f"the tab Keep holds at most {MAX_BOARD} pictures: press Draw, or Vary the kept, to replace them"
        )
    return sample.make_request(sample.lineage.children(DEFAULT_COUNT, degrees, board.generation * SEEDS_PER_GENERATION))


def request_mutants(board: Board, degrees: float) -> BoardRequest:
    """Pictures with rotated noise of the kept ones in turn; of those that the first one's model drew."""
    if not board.kept:
        raise InputError("there are no kept pictures: keep a picture first")
    first = board.kept[0]
    parents = [require_unbranched(sample) for sample in board.kept if sample.model_name == first.model_name]
    number = max(DEFAULT_COUNT, len(board.samples))
    chosen = [parents[i % len(parents)] for i in range(number)]
    first_seed = board.generation * SEEDS_PER_GENERATION
    lineages = [sample.lineage.rotate(first_seed + i, degrees) for i, sample in enumerate(chosen)]
    return _with_prompts_of(first.make_request(lineages), chosen)


def require_unbranched(sample: BoardSample) -> BoardSample:
    """The same sample. Raises InputError for a branch: its noise gives the trajectory that it left."""
    if sample.branch is not None:
        raise InputError(
            f"a picture that branched off after step {sample.branch.step} has no variations, because it cannot be "
            "generated from its noise alone: choose another"
        )
    return sample


def request_replacements(board: Board) -> BoardRequest:
    """New pictures with the labels of the rejected ones, in their order."""
    if not board.rejected:
        raise InputError("there are no rejected pictures: reject a picture first")
    old = [board.get_sample(i) for i in sorted(board.rejected)]
    first = REPLACEMENT_SEED_START + board.generation * SEEDS_PER_GENERATION
    return _with_prompts_of(old[0].make_request([NoiseLineage(first + i) for i in range(len(old))]), old)


def _with_prompts_of(board_request: BoardRequest, samples: Sequence[BoardSample]) -> BoardRequest:
    """The same request with the labels, attributes and texts of these pictures."""
    records = [sample.record for sample in samples]
    request = replace(
        board_request.request,
        labels=tuple(record.label for record in records),
        attributes=tuple(record.attributes for record in records),
        texts=tuple(record.text for record in records),
    )
    return replace(board_request, request=request)
