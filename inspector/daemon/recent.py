"""The latest inspections, in memory, with the operators' judgements."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from inspector.daemon.schemas import InspectionReply, Judgement, Label, RecentReply
from inspector.scoring.inspection import Inspection

MAX_INSPECTIONS = 1000
MAX_PICTURE_BYTES = 256_000_000
MAX_OPERATORS = 100  # with a judgement of one inspection
MAX_JUDGED_SHARE = 0.75  # of the room; the rest stays for inspections without a judgement


@dataclass
class Entry:
    """One kept inspection; `data` becomes None when the picture has to make room."""

    id: int
    time: str
    inspection: Inspection
    data: bytes | None
    revision: int
    judgements: dict[str, Judgement] = field(default_factory=dict)

    @property
    def label(self) -> Label | None:
        """The part's label according to the operators; None without judgements."""
        passed = self.inspection.verdict in {"pass", "review"}
        found: set[Label] = {
            "good" if judgement.agrees == passed else "defect" for judgement in self.judgements.values()
        }
        return "disputed" if len(found) == 2 else next(iter(found), None)

    def reply(self) -> InspectionReply:
        """Return the entry as the API sends it."""
        return InspectionReply(
            id=self.id,
            revision=self.revision,
            time=self.time,
            inspection=self.inspection.record(),
            judgements=tuple(self.judgements.values()),
            label=self.label,
            has_picture=self.data is not None and self.inspection.verdict != "invalid",
        )


class RecentInspections:
    """Keeps the latest inspections.  Used on the event loop only, so it needs no lock.

    Parameters
    ----------
    max_inspections : int
        Number of inspections that are kept.
    max_picture_bytes : int
        Total size of the kept pictures, as they were sent.

    Notes
    -----
    Inspections without a judgement are removed first, so that judged ones last until they are exported.
    Judged ones take at most `MAX_JUDGED_SHARE` of the room.
    """

    def __init__(
        self, max_inspections: int = MAX_INSPECTIONS, max_picture_bytes: int = MAX_PICTURE_BYTES
    ) -> None:
        self._max_inspections, self._max_picture_bytes = max_inspections, max_picture_bytes
        self._entries: OrderedDict[int, Entry] = OrderedDict()  # oldest first
        self._picture_bytes = 0
        self._last_id = 0
        self._changed = asyncio.Event()
        self._open = True
        self._epoch = uuid.uuid4().hex
        self.revision = 0

    def add(self, inspection: Inspection, data: bytes) -> int:
        """Keep one inspection, without decoded pixels, and its picture as sent; return its number."""
        self._last_id += 1
        self._entries[self._last_id] = Entry(
            self._last_id, _now(), inspection.without_pixels(), data, self._next_revision()
        )
        self._picture_bytes += len(data)
        self._make_room()
        return self._last_id

    def get(self, number: int) -> Entry | None:
        """Return one inspection; None if it is not kept any more, or never existed."""
        return self._entries.get(number)

    def judge(self, entry: Entry, operator: str, *, agrees: bool | None) -> None:
        """Store an operator's judgement in place of the same operator's earlier one; None withdraws it."""
        if agrees is None:
            entry.judgements.pop(operator, None)
        elif operator in entry.judgements or len(entry.judgements) < MAX_OPERATORS:
            entry.judgements[operator] = Judgement(operator=operator, agrees=agrees, time=_now())
        entry.revision = self._next_revision()

    def since(self, revision: int) -> RecentReply:
        """Return the inspections that are new or were judged after a revision."""
        found = [entry.reply() for entry in reversed(self._entries.values()) if entry.revision > revision]
        oldest = next(iter(self._entries), self._last_id + 1)
        return RecentReply(epoch=self._epoch, revision=self.revision, oldest=oldest, inspections=tuple(found))

    async def wait(self, revision: int, seconds: float) -> None:
        """Wait for a change after the latest revision, at most `seconds`.

        Return at once for any other revision: the caller is out of date or knows an earlier daemon.
        """
        end = asyncio.get_running_loop().time() + seconds
        while self.revision == revision and self._open:
            left = end - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return

    def close(self) -> None:
        """End all waiting."""
        self._open = False
        self._changed.set()

    def judged(self) -> list[Entry]:
        """Return copies of the judged entries, oldest first; an export does not see later judgements."""
        return [
            replace(entry, judgements=dict(entry.judgements))
            for entry in self._entries.values()
            if entry.judgements
        ]

    def _next_revision(self) -> int:
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()
        return self.revision

    def _make_room(self) -> None:
        while len(self._entries) > self._max_inspections:
            entries = list(self._entries.values())
            judged = sum(bool(entry.judgements) for entry in entries)
            oldest = _oldest(entries, judged=judged > MAX_JUDGED_SHARE * self._max_inspections)
            self._forget_picture(self._entries.pop(oldest.id))
        while self._picture_bytes > self._max_picture_bytes:
            pictures = [entry for entry in self._entries.values() if entry.data is not None]
            judged = sum(len(entry.data or b"") for entry in pictures if entry.judgements)
            self._forget_picture(
                _oldest(pictures, judged=judged > MAX_JUDGED_SHARE * self._max_picture_bytes)
            )

    def _forget_picture(self, entry: Entry) -> None:
        self._picture_bytes -= len(entry.data or b"")
        entry.data = None


def _oldest(entries: list[Entry], *, judged: bool) -> Entry:
    """Return the oldest entry with or without a judgement, else the oldest; the newest only if alone."""
    older = entries[:-1] or entries
    return next((entry for entry in older if bool(entry.judgements) is judged), older[0])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
