"""The tables of part records, version by version."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edge.errors import RecordsError

APPLICATION_ID = 0x65696E73
"""Marks the file as one of ours, for ``file`` and for us."""
MIGRATIONS = (
    """
    CREATE TABLE parts (
        part_id INTEGER PRIMARY KEY,
        trigger_ns INTEGER, exposed_ns INTEGER, decided_ns INTEGER, wall_ns INTEGER NOT NULL, counts INTEGER,
        feature_score REAL, reconstruction_score REAL, score REAL, threshold REAL,
        calibration_serial INTEGER, precision TEXT NOT NULL DEFAULT '',
        outcome TEXT CHECK (outcome IN ('PASS', 'REJECT', 'FAULT')), reason TEXT NOT NULL DEFAULT '',
        action TEXT CHECK (action IN ('passed', 'rejected', 'late', 'unknown', 'untracked')),
        late_ns INTEGER, confirm TEXT NOT NULL DEFAULT '', source TEXT NOT NULL DEFAULT '', image TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX parts_by_time ON parts (wall_ns);
    CREATE INDEX parts_in_flight ON parts (part_id) WHERE action IS NULL;
    CREATE TABLE numbering (first_part_id INTEGER NOT NULL);
    INSERT INTO numbering VALUES (0);
    """,
    "ALTER TABLE parts ADD COLUMN recipe TEXT NOT NULL DEFAULT ''",
    # Numbers can begin anew where a file was damaged: who tells parts to others tells by this whose numbers they are.
    """
    ALTER TABLE numbering ADD COLUMN records_id TEXT NOT NULL DEFAULT '';
    UPDATE numbering SET records_id = lower(hex(randomblob(8)));
    """,
)
"""Each brings the file from its place in here to the next version."""
VERSION = len(MIGRATIONS)
SINCE = {"recipe": 2}
"""Columns that older files lack, and the version that brought them; a reader takes them as empty."""


def require_version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of the file, 0 for an empty one; raises RecordsError for a newer one or another program's file."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID and (version or tables):
        raise RecordsError(f"{path}: expected part records, this is another program's database; move it away")
    if version > VERSION:
        raise RecordsError(f"{path}: records of version {version} are newer than this program's {VERSION}; update edge-inspect")
    return version


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to ``VERSION``, each step whole or not at all; raises RecordsError, sqlite3.Error."""
    for version in range(require_version(connection, path), VERSION):
        connection.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[version]}; PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {version + 1}; COMMIT;"
        )
