"""What to draw next, of what was kept, rejected and asked for."""

from dataclasses import replace

from ..edit.kin import Kin
from ..errors import InputError
from .session import Board, Cell, Wish

FAMILY = 12  # pictures on the board where it was not filled otherwise
EACH = 1000  # seeds of a generation
FAR = 10**6  # seeds of what replaces the rejected begin here


def more(board: Board, i: int, degrees: float) -> Wish:
    """Picture i again, and neighbours of it on the sphere of noises, as many as the board holds."""
    cell = by_its_noise(board.cell(i))
    number = max(FAMILY, len(board.cells))
    return cell.alike([cell.kin, *cell.kin.children(number - 1, degrees, board.generation * EACH)])


def mutants(board: Board, degrees: float) -> Wish:
    """A board of mutants of the kept ones, in turn: of those that the first one's model drew."""
    if not board.kept:
        raise InputError("nothing is kept that could be mutated: keep a picture first")
    first = board.kept[0]
    parents = [by_its_noise(cell) for cell in board.kept if cell.name == first.name]
    number = max(FAMILY, len(board.cells))
    chosen = [parents[i % len(parents)] for i in range(number)]
    kin = tuple(p.kin.turned(board.generation * EACH + i, degrees) for i, p in enumerate(chosen))
    return _asked(first.alike(kin), chosen)


def by_its_noise(cell: Cell) -> Cell:
    """The same. Refuses what left its walk on the way: its noise leads elsewhere."""
    if cell.branch is not None:
        raise InputError(
            f"a picture that branched off after step {cell.branch.step} is not where its noise leads: choose others"
        )
    return cell


def replacements(board: Board) -> Wish:
    """New pictures with the labels of the rejected ones, in their order."""
    if not board.rejected:
        raise InputError("nothing is rejected that could be replaced: reject a picture first")
    old = [board.cell(i) for i in sorted(board.rejected)]
    first = FAR + board.generation * EACH
    wish = old[0].alike([Kin(first + i) for i in range(len(old))])
    return _asked(wish, old)


def _asked(wish: Wish, cells: list[Cell]) -> Wish:
    """The same wish for what each of those pictures was asked to be."""
    asked = [c.origin for c in cells]
    return replace(
        wish,
        labels=tuple(o.label for o in asked),
        attributes=tuple(o.attributes for o in asked),
        texts=tuple(o.text for o in asked),
    )
