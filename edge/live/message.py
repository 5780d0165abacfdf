"""An answer: MAGIC, the length of the header (4 bytes, big-endian), the header (JSON), and the content that it announces."""

from __future__ import annotations

from edge.live.newest_reader import Receive

LENGTH_BYTES = 4


class NoMessageError(ValueError):
    """What came is not of the program or the version that was expected; the text says what it is instead."""


def packed(magic: bytes, header: str) -> bytes:
    """All that precedes the content."""
    text = header.encode()
    return magic + len(text).to_bytes(LENGTH_BYTES, "big") + text


def read_header(magic: bytes, longest: int, receive: Receive) -> bytearray:
    """The header of at most ``longest`` bytes; raises NoMessageError."""
    start = receive(len(magic) + LENGTH_BYTES)
    length = int.from_bytes(start[len(magic) :], "big")
    if start[: len(magic)] != magic or length > longest:
        raise NoMessageError("another program's answer")
    return receive(length)
