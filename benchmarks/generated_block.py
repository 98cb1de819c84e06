"""A part of a page that a command writes: between two comments, never by hand."""

import json

END = "<!-- end of what it writes -->"


class PublishingError(ValueError):
    """The page or the run is not fit to be published; the sentence says why."""


def begin_of(command: str) -> str:
    """Return the comment that begins what a command writes."""
    return f"<!-- written by `{command}`; changes here are lost -->"


def with_block(text: str, begin: str, block: str) -> str:
    """Return the page with what stands between the two comments replaced.

    Raises:
        PublishingError: the comments are not there, once each and in order.
    """
    before, found, rest = text.partition(begin)
    inside, end, after = rest.partition(END)
    if not found or not end or begin in rest or END in inside + after + before:
        raise PublishingError(f"the page needs once, in this order: {json.dumps([begin, END])}")
    return f"{before}{begin}\n\n{block.strip()}\n\n{END}{after}"
