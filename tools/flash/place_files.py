"""Puts files onto a device by a manifest, checks them, takes them away again: in NVIDIA's rootfs and, sent over SSH, on a device.

Only the standard library: on a device this file is all there is. A stream is the manifest's length (8 bytes,
big endian), the manifest as JSON, then a tar of the contents, each named by its sha256. Every file is written beside its place,
checked, synced and renamed, so that whatever cuts the stream leaves the old file or the new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import hashlib
import json
import os
import pwd
import shutil
import stat
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

RECORD = "usr/share/edge-inspect/device-manifest.json"
REPLACED = "usr/share/edge-inspect/replaced"
KEPT = "/var/lib/edge-inspect/"
PIECE = 1 << 20
PATIENCE_S = 30.0
"""One whose connection was cut ends within seconds; any that is at work for longer is a person's to wait for."""
POLL_S = 0.1
Entry = dict[str, Any]
Manifest = dict[str, Any]


class PlaceError(Exception):
    """The device or the stream is not as it must be; one line."""


def difference(entry: Entry, root: Path) -> str:
    """How ``entry`` is not as it stands under ``root``, in words; empty where it is."""
    path = _inside(root, entry["path"])
    kind: str = entry["kind"]
    try:
        status = os.lstat(path)
        if entry["once"]:
            return ""
        if kind == "link":
            if not stat.S_ISLNK(status.st_mode):
                return "is no link"
            target = os.readlink(path)
            return "" if target == entry["target"] else f"points to {target}"
        wanted = stat.S_ISREG if kind == "file" else stat.S_ISDIR
        if not wanted(status.st_mode):
            return f"is no {kind}"
        if kind == "file" and _sha256(path) != entry["sha256"]:
            return "has other content"
        mode = oct(stat.S_IMODE(status.st_mode))[2:].zfill(4)
        if mode != entry["mode"]:
            return f"has mode {mode}, not {entry['mode']}"
        if os.geteuid() == 0 and (status.st_uid, status.st_gid) != _ids(entry["owner"]):
            return f"is not {entry['owner']}'s"
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    return ""


def differences(manifest: Manifest, root: Path) -> list[tuple[Entry, str]]:
    """Every entry that is not as it should be, and how."""
    found = [(entry, difference(entry, root)) for entry in manifest["entries"]]
    return [one for one in found if one[1]]


def place(stream: BinaryIO, root: Path) -> list[str]:
    """Take a stream in; the paths that changed. Raises PlaceError, and then every file is the old one or the new one."""
    manifest = _read_manifest(stream)
    with _alone(root):
        return _place(manifest, stream, root)


def _place(manifest: Manifest, stream: BinaryIO, root: Path) -> list[str]:
    wanted = [entry for entry, _ in differences(manifest, root)]
    if manifest["record"]:
        # Before anything changes: what is there now is kept, and what will be ours is known, so that a cut can be undone too.
        before = _recorded(root)
        known = {entry["path"] for entry in before}
        for entry in wanted:
            if entry["kind"] != "folder" and entry["path"] not in known:
                _keep_replaced(entry, root)
        new = {entry["path"] for entry in manifest["entries"]}
        _write_record({**manifest, "entries": [*manifest["entries"], *(one for one in before if one["path"] not in new)]}, root)
    by_hash: dict[str, list[Entry]] = {}
    for entry in wanted:
        if entry["kind"] == "file":
            by_hash.setdefault(entry["sha256"], []).append(entry)
    for entry in wanted:  # folders before what lies in them, since entries are in this order
        if entry["kind"] == "folder":
            _make_folder(entry, root)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                content, entries = archive.extractfile(member), by_hash.pop(member.name, [])
                if content is None or not entries:
                    continue
                _place_file(entries[0], content, root)
                for entry in entries[1:]:
                    with open(_inside(root, entries[0]["path"]), "rb") as copy:
                        _place_file(entry, copy, root)
    except (tarfile.TarError, EOFError) as error:
        raise PlaceError(f"the stream ended early ({error}); send it again") from error
    if by_hash:
        raise PlaceError(f"the stream lacks {next(iter(by_hash.values()))[0]['path']}; send it again")
    for entry in wanted:
        if entry["kind"] == "link":
            _place_link(entry, root)
    if manifest["record"]:
        _clear_obsolete(manifest, root)
        _write_record(manifest, root)
    return [entry["path"] for entry in wanted]


def take_away(root: Path) -> tuple[list[str], list[str]]:
    """Undo what the record under ``root`` says was placed: (removed or restored, left alone since they changed)."""
    with _alone(root):
        return _take_away(root)


def _take_away(root: Path) -> tuple[list[str], list[str]]:
    path = _inside(root, RECORD)
    if not path.is_file():
        raise PlaceError(f"{root}: nothing was staged there")
    gone, left = [], []
    for entry in reversed(_recorded(root)):
        where = _inside(root, entry["path"])
        how = difference({**entry, "once": False}, root)
        if how == "is missing":
            continue
        if entry["kind"] == "folder":
            with contextlib.suppress(OSError):  # others have put something into it
                where.rmdir()
                gone.append(entry["path"])
        elif how:
            left.append(entry["path"])
        else:
            _remove(entry, root)
            gone.append(entry["path"])
    path.unlink()
    shutil.rmtree(_inside(root, REPLACED), ignore_errors=True)
    for folder in (path.parent, path.parent.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return gone, left


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Nobody else places files under ``root``, and no edge-bundle, which locks the same folder, throws a half-sent bundle away.

    One that is at work is waited for, up to PATIENCE_S; then raises PlaceError. The lock of a process that dies is free.
    """
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise PlaceError(
                        f"another edge-flash or edge-bundle is at work in {root}; wait for it, run it again"
                    ) from error
            time.sleep(POLL_S)
        yield
    finally:
        os.close(handle)


def _clear_obsolete(manifest: Manifest, root: Path) -> None:
    """What the manifest before had and this one has not; bundles are not among it, since one of them may be in use."""
    kept = {entry["path"] for entry in manifest["entries"]}
    for entry in _recorded(root):
        obsolete = entry["path"] not in kept and entry["kind"] != "folder" and not entry["once"]
        if obsolete and not entry["path"].startswith(KEPT) and not difference(entry, root):
            _remove(entry, root)


def _recorded(root: Path) -> list[Entry]:
    """Entries of what was placed before; none where nothing was."""
    record = _inside(root, RECORD)
    if not record.is_file():
        return []
    try:
        return [dict(entry) for entry in json.loads(record.read_bytes())["entries"]]
    except (ValueError, KeyError, TypeError) as error:
        raise PlaceError(
            f"{record}: is damaged, so what was placed before is not known; move it away, then it begins anew"
        ) from error


def _remove(entry: Entry, root: Path) -> None:
    """Away with it, and what it replaced is back."""
    where = _inside(root, entry["path"])
    where.unlink()
    saved = _inside(root, REPLACED) / entry["path"].lstrip("/")
    if os.path.lexists(saved):
        os.rename(saved, where)


def _read_manifest(stream: BinaryIO) -> Manifest:
    length = int.from_bytes(_exactly(stream, 8), "big")
    if length > 64 * PIECE:
        raise PlaceError("this is no stream of edge-flash")
    try:
        manifest = json.loads(_exactly(stream, length).decode("utf-8"))
        assert manifest["format"] == 1
    except (ValueError, KeyError, AssertionError, TypeError) as error:
        raise PlaceError("this is no stream of edge-flash") from error
    return dict(manifest)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = stream.read(count - len(content))
        if not piece:
            raise PlaceError("the stream ended early; send it again")
        content += piece
    return content


def _inside(root: Path, path: str) -> Path:
    """``path`` under ``root``, whose links to absolute places lead within ``root``; raises PlaceError for one that climbs out."""
    parts = Path(path.lstrip("/")).parts
    if ".." in parts or not parts:
        raise PlaceError(f"{path!r} is no place on a device")
    folder = root.resolve()
    for part in parts[:-1]:
        inner = folder / part
        for _ in range(40):
            if not inner.is_symlink():
                break
            target = os.readlink(inner)
            base = root.resolve() if target.startswith("/") else inner.parent
            inner = Path(os.path.normpath(base / target.lstrip("/")))
        folder = inner
    if folder != root.resolve() and root.resolve() not in folder.parents:
        raise PlaceError(f"{path!r} leads out of {root}")
    return folder / parts[-1]


def _make_folder(entry: Entry, root: Path) -> None:
    path = _inside(root, entry["path"])
    if not path.is_dir():
        path.mkdir(parents=True)
    _own(path, entry)


def _place_file(entry: Entry, content: Any, root: Path) -> None:
    path = _inside(root, entry["path"])
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        while piece := content.read(PIECE):
            digest.update(piece)
            yield piece
        if digest.hexdigest() != entry["sha256"]:
            raise PlaceError(f"{entry['path']} came damaged; send it again")

    _write(path, entry, pieces())


def _write_record(manifest: Manifest, root: Path) -> None:
    entry = {"mode": "0644", "owner": "root:root"}
    _write(_inside(root, RECORD), entry, iter([json.dumps(manifest, indent=1).encode()]))


def _write(path: Path, entry: Entry, pieces: Iterator[bytes]) -> None:
    """Beside its place, synced, and only then in it; where ``pieces`` ends with an error, nothing is left.

    Under a name of its own: one whose connection was cut may still be at work here, and cleans up after itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        _own(beside, entry)
        os.rename(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    _sync(path.parent)


def _place_link(entry: Entry, root: Path) -> None:
    path = _inside(root, entry["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    place = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    os.symlink(entry["target"], f"{place}/link")
    os.rename(f"{place}/link", path)
    os.rmdir(place)
    _sync(path.parent)


def _keep_replaced(entry: Entry, root: Path) -> None:
    """What was there before us, if anything, and once."""
    path = _inside(root, entry["path"])
    saved = _inside(root, REPLACED) / entry["path"].lstrip("/")
    if not os.path.lexists(path) or os.path.lexists(saved):
        return
    saved.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        os.symlink(os.readlink(path), saved)
    else:
        shutil.copy2(path, saved)
        if os.geteuid() == 0:
            status = os.lstat(path)
            os.chown(saved, status.st_uid, status.st_gid)


def _own(path: Path, entry: Entry) -> None:
    if os.geteuid() == 0:
        os.chown(path, *_ids(entry["owner"]))
    os.chmod(path, int(entry["mode"], 8))


def _ids(owner: str) -> tuple[int, int]:
    if owner == "root:root":
        return 0, 0
    user, _, group = owner.partition(":")
    return pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            piece = file.read(PIECE)
            if not piece:
                return digest.hexdigest()
            digest.update(piece)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def main(arguments: list[str]) -> int:
    """``place ROOT`` or ``check ROOT``, the stream or the manifest on stdin; an answer in JSON on stdout."""
    action, root = arguments[0], Path(arguments[1])
    try:
        if action == "place":
            answer = {"changed": place(sys.stdin.buffer, root)}
        else:
            manifest = _read_manifest(sys.stdin.buffer)
            answer = {"differences": [[entry["path"], how] for entry, how in differences(manifest, root)]}  # type: ignore[misc]
        print(json.dumps(answer))
    except (PlaceError, OSError) as error:
        print(json.dumps({"error": " ".join(str(error).split())}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
