"""What goes onto a device: every file, folder and link with mode, owner, hash and where its content is from.

The noun that plan, stage, provision, update and verify share; place_files.py acts by it, here and on the device.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from edge.bundle import file_sha256
from edge.errors import FlashError

FORMAT_VERSION = 1
OWNER = "root:root"
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """path: absolute, on the device. once: placed where it is missing, and then the device's own to change.

    content: of a file, its bytes or where they lie here. source: the same for people.
    """

    path: str
    kind: Literal["file", "folder", "link"]
    mode: str = "0644"
    sha256: str = ""
    target: str = ""
    once: bool = False
    source: str = ""
    content: bytes | Path = field(default=b"", repr=False)
    owner: str = OWNER

    def record(self) -> dict[str, Any]:
        """Without the content, for JSON."""
        names = ("path", "kind", "mode", "owner", "sha256", "target", "once", "source")
        return {name: getattr(self, name) for name in names}

    @property
    def size(self) -> int:
        """Bytes of content."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def text_file(path: str, text: str, source: str, mode: str = "0644", *, once: bool = False) -> DeviceEntry:
    """A file that is made here."""
    content = text.encode()
    return DeviceEntry(path, "file", mode, hashlib.sha256(content).hexdigest(), once=once, source=source, content=content)


def copied_file(path: str, origin: Path, mode: str = "0644", *, once: bool = False) -> DeviceEntry:
    """A file that is copied from ``origin``; raises FlashError."""
    try:
        digest = file_sha256(origin)
    except OSError as error:
        raise FlashError(f"{origin}: cannot read it: {error.strerror}; check the path") from error
    return DeviceEntry(path, "file", mode, digest, once=once, source=str(origin), content=origin)


def link(path: str, target: str, source: str, *, once: bool = False) -> DeviceEntry:
    """A symbolic link."""
    return DeviceEntry(path, "link", "0777", target=target, once=once, source=source)


def folder(path: str, mode: str = "0755") -> DeviceEntry:
    """A folder that is ours."""
    return DeviceEntry(path, "folder", mode, source="made")


@dataclass(frozen=True, slots=True)
class DeviceManifest:
    """entries: a folder before what lies in it. facts: what the device must be and what it gets, for people and for verify."""

    facts: dict[str, str]
    entries: tuple[DeviceEntry, ...]

    def __post_init__(self) -> None:
        paths = [one.path for one in self.entries]
        if len(set(paths)) != len(paths):
            raise ValueError(f"named twice: {next(one for one in paths if paths.count(one) > 1)}")

    def record(self, *, kept: bool = True) -> dict[str, Any]:
        """For JSON. kept: the device keeps it, to verify by and to undo by."""
        return {
            "format": FORMAT_VERSION, "record": kept, "facts": self.facts, "entries": [one.record() for one in self.entries],
        }  # fmt: skip

    def header(self, *, kept: bool = True) -> bytes:
        """The beginning of a stream, and all that a check needs."""
        content = json.dumps(self.record(kept=kept)).encode()
        return len(content).to_bytes(8, "big") + content

    def stream(self, paths: set[str], *, kept: bool = True) -> Iterator[bytes]:
        """As place_files.py reads it, with the contents of ``paths``. Raises FlashError where a file is no longer what it was."""
        yield self.header(kept=kept)
        files = {one.sha256: one for one in self.entries if one.kind == "file" and one.path in paths}
        for digest, one in files.items():
            member = tarfile.TarInfo(digest)
            member.size = one.size
            yield member.tobuf(tarfile.USTAR_FORMAT)
            yield from _pieces(one, digest)
            yield bytes(-member.size % tarfile.BLOCKSIZE)
        yield bytes(tarfile.RECORDSIZE)

    def whole_stream(self) -> BinaryIO:
        """All contents, as a file."""
        return io.BufferedReader(_Stream(self.stream({one.path for one in self.entries})))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(one.size for one in self.entries if one.kind == "file")


def _pieces(entry: DeviceEntry, digest: str) -> Iterator[bytes]:
    """Its content; raises FlashError at the end where that is no longer what was hashed."""
    if isinstance(entry.content, bytes):
        yield entry.content
        return
    seen = hashlib.sha256()
    with entry.content.open("rb") as file:
        while piece := file.read(PIECE):
            seen.update(piece)
            yield piece
    if seen.hexdigest() != digest:
        raise FlashError(f"{entry.content}: changed while it was being sent; run the command again")


class _Stream(io.RawIOBase):
    """The pieces of an iterator as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
