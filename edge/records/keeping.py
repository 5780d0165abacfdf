"""All that is kept of a run: verdict log, records, pictures, audit trail, recording. Nothing here holds up a part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edge.clock import Clock
from edge.drift.drift_watch import DriftEvent
from edge.engines.base import Inference
from edge.line.part_feed import Seen
from edge.products.product import Product
from edge.records import audit_log, part_archive, part_records
from edge.records.audit_log import AuditLog, AuditTrail
from edge.records.part_archive import PartArchive
from edge.records.part_records import PartRecords
from edge.records.run_recorder import RunRecorder
from edge.records.verdict_log import VerdictLog
from edge.station_config import StationConfig
from edge.storage.event_chain import canonical
from edge.verdict import Verdict


class Keeping:
    """``log`` and ``recorder`` may be None. keep: False for a dry run, which keeps nothing but its verdicts.

    tell: one line for people, must not wait. Raises RecordsError and OutputError.
    """

    def __init__(
        self,
        station: StationConfig,
        state: Path,
        keep: bool,
        log: VerdictLog | None,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self._station, self._log = station, log
        self.recorder: RunRecorder | None = None
        self.records: PartRecords | None = None
        self._archive: PartArchive | None = None
        self._audit: AuditLog | None = None
        with ExitStack() as stack:
            if keep:
                self.records = PartRecords(state / part_records.FOLDER, station.records, clock, tell)
                stack.callback(self.records.close)
                folder = station.archive.folder or state / part_archive.FOLDER
                self._archive = PartArchive(folder, station.archive, self.records.archived, tell)
                stack.callback(self._archive.close)
                self._audit = AuditLog(AuditTrail(state / audit_log.FOLDER), clock, tell)
                stack.callback(self._audit.close)
            self._given_back = stack.pop_all()

    @property
    def first_part_id(self) -> int:
        """Ids go on from the last part that was recorded."""
        return self.records.next_part_id if self.records is not None else 0

    def verdict(self, verdict: Verdict, seen: Seen, inference: Inference | None, product: Product, final: bool) -> None:
        """A part was judged. final: nothing more is known of it later, since there are no triggers."""
        if self._log is not None:
            self._log.add(verdict)
        if self.records is not None:
            self.records.decided(verdict, product.precision)
            if final:
                self.records.finished(verdict.part_id, verdict.outcome, verdict.reason, None)
        if self._archive is not None and seen.frame is not None:
            heat = inference.anomaly_map if inference is not None else None
            self._archive.add(verdict, seen.frame.image, heat, product.view.region)
        if self.recorder is not None:
            self.recorder.add(verdict, seen.frame, product.slot)

    def drifted(self, event: DriftEvent) -> None:
        """The parts are no longer, or again, as at the calibration."""
        if self._log is not None:
            self._log.add(event)

    def audit(self, kind: str, **details: Any) -> None:
        """Something that who answers for the line will ask for; details: JSON values."""
        if self._audit is not None:
            self._audit.add(kind, **details)

    def station_sha256(self) -> str:
        """What the station file says, in one number."""
        return hashlib.sha256(canonical(self._station.model_dump(mode="json")).encode()).hexdigest()

    def weaknesses(self) -> dict[str, str]:
        """Name → why it cannot be kept now, or empty."""
        return {what: str(one.failure or "") for what, one in self._writers().items() if one is not None}

    def lost(self) -> dict[str, int]:
        """Name → how much of it the disk did not take, or not in time."""
        return {what: one.dropped for what, one in self._writers().items() if one is not None}

    def _writers(self) -> dict[str, VerdictLog | PartRecords | PartArchive | RunRecorder | None]:
        return {"verdict log": self._log, "records": self.records, "archive": self._archive, "recording": self.recorder}

    def close(self) -> None:
        """Write what is queued. May be called twice."""
        if self.recorder is not None:
            self.recorder.close()
        self._given_back.close()
