"""A watched folder: what appears in it is inspected once, written down, and moved if that was asked for."""

from __future__ import annotations

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
from inspector.watch.arrivals import Arrival, Arrivals
from inspector.watch.journal import Journal, Printout, WatchedImage
from inspector.watch.sorter import Trays

Stop = Callable[[], bool]

_NAP_SECONDS = 0.05  # how soon a wish to stop is heard


class Report(Protocol):
    """Who is told how it goes."""

    def inspected(self, row: WatchedImage) -> None:
        """A picture has its line."""

    def problem(self, error: InspectorError) -> None:
        """Something does not work, and is tried again; told once for as long as it lasts."""

    def recovered(self) -> None:
        """All that did not work does again."""

    def looked(self) -> None:
        """The folder was looked through, and what had settled was dealt with."""


class Watch:
    """A folder that is looked through again and again.

    Parameters
    ----------
    arrivals : Arrivals
        The folder.
    results : Journal or Printout
        Where lines go, and what is known of those that went there.
    trays : Trays
        Where pictures go.
    models : callable
        Gives the model of the moment, opened and proved; raises an `InspectorError` where there is none.
    report : Report
        Who is told how it goes.
    heatmaps : Path, optional
        A folder, already there, that takes one heatmap for each picture that could be read.

    Notes
    -----
    A line is on the disk before its picture is moved, and a picture that has a line is never scored
    again in the same state.  So whenever the process is killed, the next one goes on from the lines alone.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        results: Journal | Printout,
        trays: Trays,
        models: Callable[[], Detector],
        report: Report,
        heatmaps: Path | None = None,
    ) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self._arrivals, self._results, self._trays = arrivals, results, trays
        self._models, self._report, self._heatmaps = models, report, heatmaps
        self._problems: list[InspectorError] = []  # of this round
        self._undrawn: StorageError | None = None  # until a heatmap can be written again
        self._told: set[str] = set()  # what did not work in the last round

    def run(self, interval_seconds: float, stop: Stop) -> None:
        """Look every `interval_seconds` until `stop` says so; a round ends after the picture at hand.

        Looking takes at most half of the time, so that a slow share has a rest between two looks.
        """
        while not stop():
            try:
                self._round(stop)
            except InspectorError as error:
                self._problems.append(self._cause(error))
            self._tell()
            self._report.looked()
            self._pause(max(interval_seconds, self._arrivals.look_seconds), stop)

    def once(self, settle_seconds: float, stop: Stop) -> int:
        """Inspect what is there, and return the number of pictures that were still being written.

        Raises
        ------
        InspectorError
            Something does not work; all that can be inspected nevertheless has been.
        """
        self._arrivals.look()
        self._pause(settle_seconds, stop)
        self._round(stop)
        self._report.looked()
        if self._problems:
            raise self._problems[0]
        return self._arrivals.unsettled

    def _round(self, stop: Stop) -> None:
        self._problems = [] if self._undrawn is None else [self._undrawn]
        self._models()  # one that was promoted is opened before the next picture comes
        settled = self._look()
        if not settled and not self._trays.unfinished:
            return
        if self._results.refresh():
            self._arrivals.forget()
        self._finish_moves()
        for arrival in settled:
            if stop():
                break
            self._deal_with(arrival)

    def _look(self) -> list[Arrival]:
        try:
            settled = self._arrivals.look()
        except DatasetError:
            self._results.close()  # they may lie on the same share
            raise
        self._problems += self._arrivals.problems
        return settled

    def _finish_moves(self) -> None:
        try:
            self._trays.finish(self._results.verdict)
        except StorageError as error:
            self._problems.append(error)

    def _deal_with(self, arrival: Arrival) -> None:
        """Bring a picture as far as it can be brought; a later look meets it again if that is not all."""
        verdict = self._results.verdict(arrival) or self._inspect(arrival)
        if verdict is None:
            return
        try:
            self._trays.move(arrival, verdict)
        except StorageError as error:
            self._problems.append(error)
        else:
            self._arrivals.take(arrival)

    def _inspect(self, arrival: Arrival) -> Verdict | None:
        """Write the line of a picture; None where it is gone, has changed, or cannot be read now."""
        detector = self._models()
        try:
            content = arrival.read(detector.settings.max_bytes)
        except DatasetError as error:
            self._problems.append(error)
            return None
        if content is None:
            return None
        if isinstance(content, ImageError):
            inspection = detector.refuse(arrival.path, content)
        else:
            inspection = detector.score(content, arrival.path)
        heatmap = self._draw(arrival, detector, inspection)
        row = WatchedImage(**dict(inspection.record()), modified=arrival.modified, heatmap=heatmap)
        self._results.append(row)
        self.verdicts[row.verdict] += 1
        self._report.inspected(row)
        return row.verdict

    def _draw(self, arrival: Arrival, detector: Detector, inspection: Inspection) -> str | None:
        """Write the heatmap of a picture under a name that is its own; the verdict does not wait for it."""
        drawn = None if self._heatmaps is None else detector.draw(inspection)
        if self._heatmaps is None or drawn is None:
            return None
        name = f"{shortened(Path(arrival.path).stem)}_{arrival.key.hex()[:12]}_heatmap.png"
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
        """What is behind an error: where the folder is out of reach, so may be what lies in it."""
        try:
            self._look()
        except DatasetError as gone:
            return gone
        return error

    def _tell(self) -> None:
        """Report each kind of problem once for as long as it lasts, and the end of the last one."""
        problems = {_kind(error): error for error in reversed(self._problems)}
        for kind in problems.keys() - self._told:
            self._report.problem(problems[kind])
        if self._told and not problems:
            self._report.recovered()
        self._told = set(problems)

    def _pause(self, seconds: float, stop: Stop) -> None:
        end = time.monotonic() + seconds
        while not stop() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _NAP_SECONDS))


def _kind(error: InspectorError) -> str:
    """What stays the same while a problem lasts: its message may count bytes, or name the next picture."""
    return f"{type(error).__name__} {getattr(error.__cause__, 'errno', error.message)}"
