"""Tags of animations, which name a range of frames, as labels of the frames."""

from collections.abc import Sequence
from heapq import heappop, heappush


def label_frames(tags: Sequence[tuple[int, int, str]], count: int) -> tuple[str | None, ...]:
    """For each of `count` frames the name of the first tag (first frame, last frame, name) that it has, if any.

    Tags without a name do not count.
    """
    waiting = sorted(((first, number) for number, (first, _, name) in enumerate(tags) if name), reverse=True)
    labels, begun = list[str | None](), list[int]()  # begun: a heap of the numbers of tags
    for frame in range(count):
        while waiting and waiting[-1][0] <= frame:
            heappush(begun, waiting.pop()[1])
        while begun and tags[begun[0]][1] < frame:
            heappop(begun)
        labels.append(tags[begun[0]][2] if begun else None)
    return tuple(labels)
