"""The latest inspections in memory, what operators said of them, and their export as folders."""

from __future__ import annotations

import asyncio
import io
import json
import re
import uuid
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Literal

from inspector.errors import ImageError
from inspector.imaging import header
from inspector.scoring.inspection import Inspection
from inspector.scoring.records import ScoredImage
from inspector.types import Record

MOST = 1000
MOST_BYTES = 256_000_000
MOST_OPERATORS = 100  # of one inspection
JUDGED = 0.75  # of the room that what was judged may take where others need it

Label = Literal["good", "defect", "disputed"]


class Judgement(Record):
    """What one operator says of one verdict."""

    operator: str
    agrees: bool
    time: str


class InspectionReply(Record):
    """One inspection of the recent past.

    `label` is what the operators make of the part: good, defect, or disputed; null where none has said
    anything.  `has_picture` is false where the picture is no longer kept, or cannot be shown.
    """

    id: int
    revision: int
    time: str
    inspection: ScoredImage
    judgements: tuple[Judgement, ...]
    label: Label | None
    has_picture: bool


class RecentReply(Record):
    """Inspections that are new or were judged since a revision, the newest first.

    `epoch` is another one after each start of the daemon, when numbers begin anew; `oldest` is the smallest
    number kept.
    """

    epoch: str
    revision: int
    oldest: int
    inspections: tuple[InspectionReply, ...]


@dataclass
class Entry:
    """One inspection; `data` is None once the picture had to make room."""

    id: int
    time: str
    inspection: Inspection
    data: bytes | None
    revision: int
    judgements: dict[str, Judgement] = field(default_factory=dict)

    @property
    def label(self) -> Label | None:
        """What the operators make of the part."""
        found: set[Label] = {
            "good" if judgement.agrees == (self.inspection.verdict in {"pass", "review"}) else "defect"
            for judgement in self.judgements.values()
        }
        return "disputed" if len(found) == 2 else next(iter(found), None)

    def reply(self) -> InspectionReply:
        """As it is answered."""
        return InspectionReply(
            id=self.id,
            revision=self.revision,
            time=self.time,
            inspection=self.inspection.record(),
            judgements=tuple(self.judgements.values()),
            label=self.label,
            has_picture=self.data is not None and self.inspection.verdict != "invalid",
        )


class History:
    """The latest inspections; lives on the event loop, so nothing needs a lock.

    Parameters
    ----------
    most : int
        Inspections that are kept.
    most_bytes : int
        Of the pictures as they were sent, all together.

    Notes
    -----
    What nobody judged goes first, so that what operators said stays for the export; but a quarter of the room
    is for what nobody has judged yet.
    """

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._entries: OrderedDict[int, Entry] = OrderedDict()  # oldest first
        self._bytes = 0
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
        self._bytes += len(data)
        self._make_room()
        return self._last_id

    def get(self, number: int) -> Entry | None:
        """Return one inspection; None where it is not kept any more, or never was."""
        return self._entries.get(number)

    def judge(self, entry: Entry, operator: str, *, agrees: bool | None) -> None:
        """Note what an operator says of a verdict; a second word of the same one replaces the first.

        None takes it back.  What another operator says stands beside it.
        """
        if agrees is None:
            entry.judgements.pop(operator, None)
        elif operator in entry.judgements or len(entry.judgements) < MOST_OPERATORS:
            entry.judgements[operator] = Judgement(operator=operator, agrees=agrees, time=_now())
        entry.revision = self._next_revision()

    def since(self, revision: int) -> RecentReply:
        """Return what is new or was judged after a revision."""
        found = [entry.reply() for entry in reversed(self._entries.values()) if entry.revision > revision]
        oldest = next(iter(self._entries), self._last_id + 1)
        return RecentReply(epoch=self._epoch, revision=self.revision, oldest=oldest, inspections=tuple(found))

    async def wait(self, revision: int, seconds: float) -> None:
        """Wait until there is something after the latest revision, or the time is over.

        Another one is out of date, or of a daemon before this one: there is no waiting for it.
        """
        end = asyncio.get_running_loop().time() + seconds
        while self.revision == revision and self._open:
            left = end - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._open = False
        self._changed.set()

    def judged(self) -> list[Entry]:
        """Return copies of what operators have spoken of, oldest first: they go on while it is packed."""
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
        while len(self._entries) > self._most:
            entries = list(self._entries.values())
            judged = sum(bool(entry.judgements) for entry in entries)
            oldest = _oldest(entries, judged=judged > JUDGED * self._most)
            self._forget_picture(self._entries.pop(oldest.id))
        while self._bytes > self._most_bytes:
            pictures = [entry for entry in self._entries.values() if entry.data is not None]
            judged = sum(len(entry.data or b"") for entry in pictures if entry.judgements)
            self._forget_picture(_oldest(pictures, judged=judged > JUDGED * self._most_bytes))

    def _forget_picture(self, entry: Entry) -> None:
        self._bytes -= len(entry.data or b"")
        entry.data = None


def _oldest(entries: list[Entry], *, judged: bool) -> Entry:
    """The oldest that was judged, or was not, else of all; the newest only where there is no other."""
    older = entries[:-1] or entries
    return next((entry for entry in older if bool(entry.judgements) is judged), older[0])


def export(entries: list[Entry]) -> Iterator[bytes]:
    """Write a ZIP file piece by piece.

    `test/good` is what `inspector calibrate` takes, `test`, with `test/defect`, what `inspector evaluate`
    takes.  Pictures of which operators disagree lie in `disputed`, and `judgements.jsonl` has every word.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            name = _file_name(entry)
            folder = "disputed" if entry.label == "disputed" else f"test/{entry.label}"
            file = None if name is None else f"{folder}/{name}"
            if entry.data is not None and file is not None:
                archive.writestr(file, entry.data)
            line = entry.reply().model_dump(mode="json", exclude={"revision", "has_picture"})
            sink.lines.append(json.dumps(line | {"file": file}))
            yield sink.take()
        archive.writestr("judgements.jsonl", "".join(f"{line}\n" for line in sink.lines))
    yield sink.take()


class _Sink(io.RawIOBase):
    """Takes what the archive writes, and hands it on."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self.lines: list[str] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # a buffer: its type has a name from Python 3.12 on
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _file_name(entry: Entry) -> str | None:
    """A name of our own making: the number, what is harmless of the sender's name, and the true format."""
    if entry.data is None:
        return None
    try:
        suffix = header.sniff(entry.data, "picture").lower()
    except ImageError:
        return None
    stem = PurePosixPath(PureWindowsPath(entry.inspection.path or "part").name).stem
    harmless = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:60]
    return f"{entry.id:06d}-{harmless or 'part'}.{suffix}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
