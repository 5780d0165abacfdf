"""A slot as one zip file, for support or another device: the same slot gives the same bytes; only what is hashed comes back in."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import yaml

from edge.errors import HashMismatchError, OutputError, SlotError
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.slots.slot_record import RECORD, SlotRecord, content_sha256
from edge.storage.durable_files import write_file
from edge.storage.strict_yaml import load_yaml_text, parse

EPOCH = (1980, 1, 1, 0, 0, 0)
LARGEST = 256 * 2**20
"""Bytes of an archive and of what is in it; a slot has a few million."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def export_slot(slot: CalibrationSlot, file: Path) -> None:
    """Write every file of ``slot``, its report too, to ``file``; raises OutputError, also where ``file`` exists.

    Stored, not compressed: another zlib would give other bytes.
    """
    if file.exists():
        raise OutputError(f"{file} exists already; choose another name, or remove it first")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(slot.path.iterdir()):
            entry = zipfile.ZipInfo(path.name, EPOCH)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes())
    write_file(file, content.getvalue())


def import_slot(store: SlotStore, file: Path) -> CalibrationSlot:
    """Take in what ``export_slot`` wrote, under the next serial; it is not active. Raises InputError; then nothing was taken in.

    Files without a hash, such as the report, stay outside. The hashes find damage and editing; who made the slot they do not prove.
    """
    files = _read(file)
    try:
        text = files.pop(RECORD).decode()
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise SlotError(f"{file}: {RECORD} has YAML aliases, which calibrate does not write; export the slot again")
    except (KeyError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SlotError(f"{file}: holds no readable {RECORD}; give a file that edge-slots export wrote") from error
    origin = f"{file}: {RECORD}"
    content: dict[str, Any] = load_yaml_text(text, origin)
    record = parse(SlotRecord, content, origin)
    if content_sha256(content) != record.content_sha256:
        raise HashMismatchError(f"{origin} was edited since it was written; export the slot again")
    for name, expected in record.files.items():
        if name not in files or hashlib.sha256(files[name]).hexdigest() != expected:
            raise HashMismatchError(f"{file}: {name} is missing, or not the file {RECORD} names; export the slot again")
    store.require_model(record)
    return store.adopt(content, {name: files[name] for name in record.files})


def _read(file: Path) -> dict[str, bytes]:
    """Every file in the archive by name; raises SlotError for anything that ``export_slot`` does not write."""
    try:
        if file.exists() and not file.is_file():  # a device has no end to look for
            raise SlotError(f"{file}: is no file; give one that edge-slots export wrote")
        if file.stat().st_size > LARGEST:
            raise SlotError(f"{file}: is larger than {LARGEST >> 20} MiB, no slot is; give a file that edge-slots export wrote")
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            odd = [name for name in names if not NAME.fullmatch(name)]
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if odd or packed or len(set(names)) < len(names) or sum(entry.file_size for entry in entries) > LARGEST:
                what = f"the name {odd[0]!r}" if odd else "what edge-slots export does not write"
                raise SlotError(f"{file}: holds {what}; give the file as it was exported, not packed anew")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (OSError, zipfile.BadZipFile, RuntimeError, ValueError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SlotError(f"{file}: cannot read it ({reason}); give a file that edge-slots export wrote") from error
