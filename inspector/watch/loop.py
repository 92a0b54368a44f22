"""The loop of a watch: inspects each new picture once, writes its result, moves it if asked to."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from inspector.bundle.atomic import write_bytes
from inspector.errors import DatasetError, ImageError, InspectorError, StorageError
from inspector.imaging.encode import encode_png
from inspector.imaging.files import shortened
from inspector.scoring.detector import Detector
from inspector.scoring.inspection import Inspection
from inspector.types import Verdict
from inspector.watch.arrival import Arrival
from inspector.watch.arrivals import Arrivals
from inspector.watch.journal import Journal, Printout, WatchedImage
from inspector.watch.sorter import Sorter

Stop = Callable[[], bool]

DOUBT_SECONDS = 0.5

_STOP_POLL_SECONDS = 0.05


class Report(Protocol):
    """Receives the progress of a watch."""

    def inspected(self, row: WatchedImage) -> None:
        """Handle a picture whose line was written."""

    def problem(self, error: InspectorError) -> None:
        """Handle a problem that the watch will retry; called once for as long as the problem lasts."""

    def recovered(self) -> None:
        """Handle the end of all problems."""

    def round_ended(self) -> None:
        """Handle the end of a round: the folder was scanned and settled pictures were inspected."""


class Watch:
    """Scans a folder again and again and inspects new pictures.

    Parameters
    ----------
    arrivals : Arrivals
        The watched folder.
    results : Journal or Printout
        Takes one line for each picture and knows which pictures have one.
    sorter : Sorter
        Moves inspected pictures.
    models : callable
        Returns the model to use now, opened and verified; raises an `InspectorError` if there is none.
    report : Report
        Receives the progress.
    heatmaps : Path, optional
        An existing folder for one heatmap of each picture that could be read.

    Notes
    -----
    The line is on the disk before the picture is moved, and a picture that has a line is never scored again.
    So a watch can be killed at any moment, and the next one goes on from the lines alone.  `LastLine` says
    which pictures have a line.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        results: Journal | Printout,
        sorter: Sorter,
        models: Callable[[], Detector],
        report: Report,
        heatmaps: Path | None = None,
    ) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self._arrivals, self._results, self._sorter = arrivals, results, sorter
        self._models, self._report, self._heatmaps = models, report, heatmaps
        self._problems: list[InspectorError] = []  # of this round
        self._undrawn: StorageError | None = None  # why the last heatmap could not be written
        self._told: set[str] = set()  # kinds of problems of the last round
        self._is_new = True  # the results were just read; no scan has told which of their pictures are gone

    def run(self, interval_seconds: float, stop: Stop) -> None:
        """Run a round every `interval_seconds` until `stop` returns True, also between two pictures.

        Scanning takes at most half of the time, so that a slow share is not kept busy.
        """
        while not stop():
            try:
                self._round(stop)
            except InspectorError as error:
                self._problems.append(self._cause(error))
            self._tell()
            self._report.round_ended()
            self._pause(max(interval_seconds, self._arrivals.scan_seconds), stop)

    def once(self, settle_seconds: float, stop: Stop) -> int:
        """Inspect the pictures that are there; return the number of those that were still being written.

        Raises
        ------
        InspectorError
            The first problem, after every other picture was inspected.
        """
        self._arrivals.scan()
        self._pause(settle_seconds, stop)
        self._round(stop, math.inf)
        self._report.round_ended()
        if self._problems:
            raise self._problems[0]
        return self._arrivals.unsettled

    def _round(self, stop: Stop, doubt_seconds: float = DOUBT_SECONDS) -> None:
        """Inspect the settled pictures: first those without a line, then those that may have one.

        Being sure about the latter may take reading them all, for example after their permissions changed.
        So after `doubt_seconds`, or as much time as the scan took, the rest is left for the next round, and
        new pictures do not wait for it.  The latest change comes first: it may be another picture.
        """
        self._problems = [] if self._undrawn is None else [self._undrawn]
        self._models()  # opens a promoted model before the next picture arrives
        settled = self._scan()
        if not settled and not self._sorter.unfinished:
            return
        if self._results.refresh():
            self._arrivals.forget()
            self._is_new = True
        self._finish_moves()
        doubtful = []
        for arrival in settled:
            if stop():
                return
            if self._may_have_line(arrival):
                doubtful.append(arrival)
            else:
                self._process(arrival)
        doubtful.sort(key=lambda arrival: arrival.modified.ctime_ns or 0, reverse=True)
        end = time.monotonic() + max(doubt_seconds, self._arrivals.scan_seconds)
        for arrival in doubtful:
            if stop() or time.monotonic() > end:
                return
            self._process(arrival)

    def _scan(self) -> list[Arrival]:
        try:
            settled = self._arrivals.scan()
        except DatasetError:
            self._results.close()  # the results may lie on the same share
            raise
        self._problems += self._arrivals.problems
        if self._arrivals.replaced:
            self._results.close()
        if not self._is_new:
            self._results.mark_gone(self._arrivals.vanished)
        elif not self._arrivals.problems:
            self._results.mark_all_gone_but(self._arrivals.present)
            self._is_new = False
        return settled

    def _finish_moves(self) -> None:
        try:
            self._sorter.finish(self._verdict_of_moving)
        except StorageError as error:
            self._problems.append(error)

    def _verdict_of_moving(self, held: Arrival) -> Verdict | None:
        line = self._results.last(held.path)
        return line.verdict if line is not None and line.is_of_moving(held.modified) else None

    def _may_have_line(self, arrival: Arrival) -> bool:
        line = self._results.last(arrival.path)
        return line is not None and line.modified.is_like(arrival.modified)

    def _process(self, arrival: Arrival) -> None:
        """Inspect and move a picture; if either fails, a later scan returns the picture again."""
        line = self._results.last(arrival.path)
        if line is not None and line.is_surely(arrival.modified):
            arrival, verdict = arrival.with_digest(line.modified.digest), line.verdict
        else:
            detector = self._models()
            try:
                read = arrival.read(detector.settings.max_bytes)
            except DatasetError as error:
                self._problems.append(error)
                return
            if read is None:  # it is gone or has changed
                return
            arrival, content = read
            if line is not None and line.is_of(arrival.modified):
                verdict = line.verdict
            else:
                verdict = self._inspect(arrival, content, detector)
        self._results.keep(arrival, verdict)
        self._move(arrival, verdict)

    def _move(self, arrival: Arrival, verdict: Verdict) -> None:
        try:
            is_moved = self._sorter.move(arrival, verdict)
        except StorageError as error:
            self._problems.append(error)
            return
        if is_moved:
            self._arrivals.leave(arrival.path)
            self._results.mark_gone([arrival.path])
        else:
            self._arrivals.take(arrival)

    def _inspect(self, arrival: Arrival, content: bytes | ImageError, detector: Detector) -> Verdict:
        """Score a picture and write its line."""
        if isinstance(content, ImageError):
            inspection = detector.refuse(arrival.path, content)
        else:
            inspection = detector.score(content, arrival.path)
        heatmap = self._draw(arrival, detector, inspection)
        target = self._sorter.target(arrival, inspection.verdict)
        row = WatchedImage(
            **dict(inspection.record()),
            modified=arrival.modified,
            heatmap=heatmap,
            destination=None if target is None else str(target),
        )
        self._results.append(row)
        self.verdicts[row.verdict] += 1
        self._report.inspected(row)
        return row.verdict

    def _draw(self, arrival: Arrival, detector: Detector, inspection: Inspection) -> str | None:
        """Write the heatmap of a picture under a unique name; a failure does not hold up the verdict."""
        drawn = None if self._heatmaps is None else detector.draw(inspection)
        if self._heatmaps is None or drawn is None:
            return None
        name = f"{shortened(Path(arrival.path).stem)}_{arrival.key[:12]}_heatmap.png"
        try:
            write_bytes(self._heatmaps / name, encode_png(drawn), durable=False)
        except StorageError as error:
            if self._undrawn is None:
                self._problems.append(error)
            self._undrawn = error
            return None
        self._undrawn = None
        return str(self._heatmaps / name)

    def _cause(self, error: InspectorError) -> InspectorError:
        """Return the folder's own error if the folder cannot be read; it explains errors of files in it."""
        try:
            self._scan()
        except DatasetError as gone:
            return gone
        return error

    def _tell(self) -> None:
        """Report each kind of problem once while it lasts, and the end of the last one."""
        problems = {_kind(error): error for error in reversed(self._problems)}
        for kind in problems.keys() - self._told:
            self._report.problem(problems[kind])
        if self._told and not problems:
            self._report.recovered()
        self._told = set(problems)

    def _pause(self, seconds: float, stop: Stop) -> None:
        end = time.monotonic() + seconds
        while not stop() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _STOP_POLL_SECONDS))


def _kind(error: InspectorError) -> str:
    """Return a key that stays the same while a problem lasts; messages may name another picture each time."""
    return f"{type(error).__name__} {getattr(error.__cause__, 'errno', error.message)}"
