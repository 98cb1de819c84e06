"""The XMP packet of an image: that a model made it, and the facts of how (no XML parser).

XMP (ISO 16684) has a place in PNG, WebP and JPEG, so one packet serves all three. Who made the
image is said with IPTC's properties, which image search, social networks and editors look for; the
facts are one element in a namespace of our own, whose text is ASCII.

The source type is "created using generative AI". IPTC has another, "edited using generative AI",
for the "augmentation, correction or enhancement" of media, such as inpainting. In our images no
pixel of the input is left: both models decode each one from latents.
"""

from xml.sax.saxutils import escape, unescape

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's Digital Source Type of every image that is written."""
NAMESPACE = "urn:twinset:provenance:1#"
MAX_PACKET_BYTES = 65_504
"""What a JPEG segment holds; the same for all formats, so that none fits where another does not."""

# As it is written here, and as editors may write the packet anew.
_FORMS = ((b"<twinset:facts>", b"</twinset:facts>"), (b'twinset:facts="', b'"'))
_ALSO_UNESCAPED = {"&quot;": '"', "&apos;": "'", "&#39;": "'"}
# The first and last line let readers find the packet without knowing the file's format.
_TEMPLATE = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:twinset="{namespace}">
<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
<Iptc4xmpExt:AISystemUsed>{model}</Iptc4xmpExt:AISystemUsed>
<Iptc4xmpExt:AISystemVersionUsed>{revision}</Iptc4xmpExt:AISystemVersionUsed>
<xmp:CreatorTool>{software}</xmp:CreatorTool>
<twinset:facts>{facts}</twinset:facts>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def packet(facts: str, *, model: str, revision: str, software: str) -> bytes:
    """Return the packet as UTF-8.

    Args:
        facts: ASCII text.
        model: the id of the weights.
        revision: of the weights.
        software: name and version of what made the image.

    Raises:
        ValueError: the packet is too long for a JPEG.
    """
    texts = {"facts": facts, "model": model, "revision": revision, "software": software}
    escaped = {name: escape(text) for name, text in texts.items()}
    text = _TEMPLATE.format(namespace=NAMESPACE, source_type=SOURCE_TYPE, **escaped)
    data = text.encode()
    if len(data) > MAX_PACKET_BYTES:
        raise ValueError(
            f"what is to be written into the image has {len(data)} bytes: at most "
            f"{MAX_PACKET_BYTES} fit, so shorten the prompts"
        )
    return data


def read_facts(data: bytes) -> str | None:
    """Return the facts in a file, unescaped; None where there are none that could be ours.

    The bytes are searched as they are, whatever their format: no picture is opened and nothing
    decompressed, so no file can make this raise or take memory. The last place counts, because the
    packet stands behind all that a prompt can write into the file.
    """
    for opening, closing in _FORMS:
        found = data.rfind(opening)
        start = found + len(opening)
        end = data.find(closing, start, start + MAX_PACKET_BYTES)
        if found >= 0 and end >= 0 and data[start:end].isascii():
            return unescape(data[start:end].decode("ascii"), _ALSO_UNESCAPED)
    return None
