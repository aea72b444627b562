"""The machine-readable mark of pictures that a model made: IPTC's digital source type, in XMP.

Stores ask for it, and the AI Act of the European Union (Art. 50(2)). A picture that a model drew is
`trainedAlgorithmicMedia`, an edit of an existing picture `compositeWithTrainedAlgorithmicMedia`
(https://cv.iptc.org/newscodes/digitalsourcetype/).
"""

from typing import Literal

Origin = Literal["generated", "edited", "other"]  # by a model; of a picture that existed; not by a model

SOURCE_TYPES: dict[Origin, str] = {
    "generated": "trainedAlgorithmicMedia",
    "edited": "compositeWithTrainedAlgorithmicMedia",
}
XMP_KEYWORD = "XML:com.adobe.xmp"  # of a PNG's iTXt chunk
PACKET = (
    "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>"
    "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about='' "
    "xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' xmlns:xmp='http://ns.adobe.com/xap/1.0/' "
    "Iptc4xmpExt:DigitalSourceType='http://cv.iptc.org/newscodes/digitalsourcetype/{source_type}' "
    "xmp:CreatorTool='noisette'/></rdf:RDF></x:xmpmeta><?xpacket end='r'?>"
)
GIF_TRAILER = b"\x3b"
# The packet stands in a GIF without lengths. These bytes lead a reader of its blocks to the end, wherever it begins.
GIF_MAGIC = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"


def xmp_packet(origin: Origin) -> str | None:
    """The XMP packet; None for pictures that no model made."""
    source_type = SOURCE_TYPES.get(origin)
    return None if source_type is None else PACKET.format(source_type=source_type)


def mark_gif(data: bytes, origin: Origin) -> bytes:
    """A GIF file with the packet before its end (XMP specification, part 3, "GIF")."""
    packet = xmp_packet(origin)
    if packet is None or not data.endswith(GIF_TRAILER):
        return data
    return data[:-1] + b"\x21\xff\x0bXMP DataXMP" + packet.encode() + GIF_MAGIC + GIF_TRAILER
