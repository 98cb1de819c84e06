"""The packet is XML that others can read, marks the image, and gives its facts back."""

import random
import tracemalloc
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from models.provenance import Provenance, encode_with_provenance
from models.xmp import MAX_PACKET_BYTES, NAMESPACE, packet, read_facts

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
OPENED, CLOSED = "<twinset:facts>", "</twinset:facts>"


def _properties(xmp: bytes) -> dict[str, str | None]:
    """Read a packet as XMP tools do: the properties of its one description."""
    (description,) = ElementTree.fromstring(xmp).iter(f"{RDF}Description")
    assert description.attrib == {f"{RDF}about": ""}
    return {element.tag: element.text for element in description}


def _packet(facts: str) -> bytes:
    return packet(facts, model="a <b> & c", revision="sha256:00", software="Twinset 1 & more")


@pytest.mark.parametrize("output_format", ["png", "webp", "jpeg"])
def test_every_format_says_that_a_model_made_it(output_format: str) -> None:
    provenance = Provenance("demo-vae", "sha256:00", 7, {"diversity_factor": 7.0}, {})
    data = encode_with_provenance(PIXELS, output_format, provenance)
    properties = _properties(Image.open(BytesIO(data)).info["xmp"])
    assert properties[f"{IPTC}DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )
    assert properties[f"{IPTC}AISystemUsed"] == "demo-vae"
    assert properties[f"{IPTC}AISystemVersionUsed"] == "sha256:00"
    assert properties["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == provenance.software
    assert properties[f"{{{NAMESPACE}}}facts"] == provenance.as_json()


@pytest.mark.parametrize("facts", ["", "{}", '<&">' * 99, "&amp;lt;", "]]>", OPENED + "x" + CLOSED])
def test_an_xml_parser_and_our_reader_find_the_same_facts(facts: str) -> None:
    properties = _properties(_packet(facts))
    assert (properties[f"{{{NAMESPACE}}}facts"] or "") == facts == read_facts(_packet(facts))
    assert properties[f"{IPTC}AISystemUsed"] == "a <b> & c"
    assert properties["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == "Twinset 1 & more"


@pytest.mark.parametrize("opened_closed", [(OPENED, CLOSED), ('<a twinset:facts="', '"/>')])
def test_facts_are_found_when_an_editor_has_written_the_packet_anew(
    opened_closed: tuple[str, str],
) -> None:
    escaped = "{&quot;a&quot;: &#39;&amp;quot;&lt;&gt;&apos;"
    assert read_facts(escaped.join(opened_closed).encode()) == "{\"a\": '&quot;<>'"


def test_a_packet_that_no_jpeg_could_hold_is_refused() -> None:
    spare = MAX_PACKET_BYTES - len(_packet(""))
    longest = _packet("x" * spare)
    Image.fromarray(PIXELS).save(BytesIO(), "JPEG", xmp=longest)
    assert read_facts(longest) == "x" * spare
    with pytest.raises(ValueError, match="shorten the prompts"):
        _packet("x" * (spare + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<twinset:facts>",
        b"</twinset:facts><twinset:facts>",
        b"<twinset:facts>{}<twinset:facts>",
        b"<twinset:facts>" + b"x" * MAX_PACKET_BYTES + b"</twinset:facts>",
        "<twinset:facts>é</twinset:facts>".encode(),
        b"<twinset:facts>\xff\xfe</twinset:facts>",
        b'<a twinset:facts="{}',
        b'<a twinset:facts="' + b"x" * MAX_PACKET_BYTES + b'"',
        b'"<a twinset:facts=',
        b'a picture of somebody else that "quotes"',
    ],
    ids=range(11),
)
def test_what_is_cut_off_too_long_or_not_ascii_is_not_ours(data: bytes) -> None:
    assert read_facts(data) is None


def test_references_that_would_be_costly_are_left_as_they_stand() -> None:
    text = b"&#" + b"9" * 5000 + b";&bomb;"
    assert read_facts(b"<twinset:facts>" + text + b"</twinset:facts>") == text.decode()


@pytest.mark.parametrize("filling", [b"<twinset:facts>", b"</twinset:facts", b"\0"], ids=range(3))
def test_a_large_file_costs_no_memory(filling: bytes) -> None:
    hostile = b'<twinset:facts> twinset:facts="' + filling * 2_000_000
    tracemalloc.start()
    assert read_facts(hostile) is None
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


def test_any_bytes_give_an_answer() -> None:
    rng = random.Random(0)
    parts = [
        b"<twinset:facts>",
        b"</twinset:facts>",
        b' twinset:facts="',
        b'"',
        b"&amp;",
        b"&#9",
        b"{",
        b"\0",
        b"\xff",
    ]
    for _ in range(2000):
        facts = read_facts(b"".join(rng.choices(parts, k=8)))
        assert facts is None or facts.isascii()
