"""What a user should know about the pictures of a set, in one sentence for each thing."""

from collections import Counter
from collections.abc import Iterator, Sequence

from .scan_result import ScannedPicture

FEW_PICTURES = 100  # training pictures; a model of fewer that starts from scratch can do little but memorize them
MAX_DARK_SHARE = 0.25  # of the range of a file of 16 bits; if no picture of a set is brighter, all of them are dark


def describe_pictures(pictures: Sequence[ScannedPicture]) -> Iterator[str]:
    """Notes on pages that are not used, on profiles that were converted, and on pictures without contrast."""
    if pages := [p for p in pictures if p.pages > 1]:
        yield (
            f"only the first page is used of {len(pages)} TIFFs with several ({pages[0].name} has {pages[0].pages}): "
            "save the pages as files to use all"
        )
    if profiles := Counter(p.profile for p in pictures if p.profile is not None):
        names = ", ".join(f"{name} ({n})" for name, n in profiles.most_common(3))
        yield f"pictures with a color profile, converted to sRGB: {profiles.total()}, {names}"
    if ignored := sum(p.profile_ignored for p in pictures):
        yield f"pictures with a color profile that is damaged or of another kind of picture, read as sRGB: {ignored}"
    deep = [(p.brightest, 2**p.bits - 1) for p in pictures if p.brightest is not None]
    if deep and all(brightest <= MAX_DARK_SHARE * white for brightest, white in deep):
        brightest, white = max(deep)
        yield (
            f"pictures of {max(p.bits for p in pictures)} bits are dark, the brightest is {brightest} of {white}: "
            f"if {2 ** brightest.bit_length() - 1} is white, scale them (--percentiles)"
        )
    if clear := sum(p.only_color == 0 for p in pictures):
        yield f"pictures that are fully transparent: {clear} of {len(pictures)}"
