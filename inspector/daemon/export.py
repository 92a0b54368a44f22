"""Exports judged inspections as a ZIP file of labelled folders."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath

from inspector.daemon.recent import Entry
from inspector.errors import ImageError
from inspector.imaging import header


def zip_judged(entries: list[Entry]) -> Iterator[bytes]:
    """Yield a ZIP file piece by piece.

    `test/good` is a folder for `inspector calibrate`; `test`, with `test/defect`, is one for
    `inspector evaluate`.  Pictures on which operators disagree lie in `disputed`.  `judgements.jsonl` lists
    every judgement.
    """
    sink = _Sink()
    lines = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            name = _file_name(entry)
            folder = "disputed" if entry.label == "disputed" else f"test/{entry.label}"
            file = None if name is None else f"{folder}/{name}"
            if entry.data is not None and file is not None:
                archive.writestr(file, entry.data)
            fields = entry.reply().model_dump(mode="json", exclude={"revision", "has_picture"})
            lines.append(json.dumps(fields | {"file": file}))
            yield sink.take()
        archive.writestr("judgements.jsonl", "".join(f"{line}\n" for line in lines))
    yield sink.take()


class _Sink(io.RawIOBase):
    """A write-only file whose content can be taken away piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

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
    """Return a safe file name: the number, harmless characters of the client's name, the true format."""
    if entry.data is None:
        return None
    try:
        suffix = header.sniff(entry.data, "picture").lower()
    except ImageError:
        return None
    stem = PurePosixPath(PureWindowsPath(entry.inspection.path or "part").name).stem
    harmless = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:60]
    return f"{entry.id:06d}-{harmless or 'part'}.{suffix}"
