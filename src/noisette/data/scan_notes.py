"""What a user should know about the pictures of a set, in one sentence for each thing."""

from collections import Counter
from collections.abc import Iterator

from .scanned_pictures import ScannedPictures

FEW_PICTURES = 100  # training pictures; a model of fewer that starts from scratch can do little but memorize them
MAX_DARK_SHARE = 0.25  # of the range of a file of 16 bits; if no picture of a set is brighter, all of them are dark


def describe_pictures(pictures: ScannedPictures) -> Iterator[str]:
    """Notes on pages that are not used, on profiles that were converted, and on pictures without contrast."""
    kinds = pictures.found_kinds
    if pages := pictures.where(lambda kind: kind.pages > 1):
        yield (
            f"only the first page is used of {len(pages)} TIFFs with several ({pages[0].name} has {pages[0].pages}): "
            "save the pages as files to use all"
        )
    profiles = Counter(pictures.count_by(lambda kind: kind.profile))
    profiles.pop(None, None)
    if profiles:
        names = ", ".join(f"{name} ({n})" for name, n in profiles.most_common(3))
        yield f"pictures with a color profile, converted to sRGB: {profiles.total()}, {names}"
    if ignored := sum(count for kind, count, _ in kinds if kind.profile_ignored):
        yield f"pictures with a color profile that is damaged or of another kind of picture, read as sRGB: {ignored}"
    deep = [(kind.brightest, 2**kind.bits - 1) for kind, *_ in kinds if kind.brightest is not None]
    if deep and all(brightest <= MAX_DARK_SHARE * white for brightest, white in deep):
        brightest, white = max(deep)
        bits = max(kind.bits for kind, *_ in kinds)
        yield (
            f"pictures of {bits} bits are dark, the brightest is {brightest} of {white}: "
            f"if {2 ** brightest.bit_length() - 1} is white, scale them (--percentiles)"
        )
    if clear := int((pictures.columns.only_color == 0).sum()):
        yield f"pictures that are fully transparent: {clear} of {len(pictures)}"
