"""The daemon's recent inspections and their export."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from inspector.daemon.export import zip_judged
from inspector.daemon.recent import RecentInspections
from inspector.imaging.encode import encode_png
from inspector.scoring.detector import Detector
from inspector.scoring.inspection import Inspection
from tests.inspector.tiny_bundle import good_picture, tiny_bundle

GOOD = encode_png(good_picture())


@pytest.fixture(scope="module")
def inspection(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    """A good picture's inspection, sent under a name with a path."""
    return Detector(tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")).score(GOOD, "a/../part.png")


@pytest.mark.parametrize("room", [{"max_inspections": 8}, {"max_picture_bytes": 8 * len(GOOD)}])
def test_unjudged_inspections_keep_a_quarter_of_the_room(
    inspection: Inspection, room: dict[str, int]
) -> None:
    """The latest pictures stay visible however many were judged; the oldest judged ones are removed."""
    recent = RecentInspections(**room)
    for _ in range(8):
        entry = recent.get(recent.add(inspection, GOOD))
        assert entry is not None
        recent.judge(entry, "Ann", agrees=True)
    for number in range(9, 15):
        assert recent.add(inspection, GOOD) == number
        entry = recent.get(number)
        assert entry is not None
        assert entry.data == GOOD
    kept = [entry.id for entry in map(recent.get, range(1, 15)) if entry is not None and entry.data]
    assert kept == [3, 4, 5, 6, 7, 8, 13, 14]


def test_an_export_is_a_snapshot(inspection: Inspection) -> None:
    """Judgements during an export do not change it; a file that is no picture is not exported."""
    recent = RecentInspections()
    for data in (GOOD, b"no picture"):
        entry = recent.get(recent.add(inspection, data))
        assert entry is not None
        recent.judge(entry, "Ann", agrees=True)
    pieces = zip_judged(recent.judged())
    for number in (1, 2):
        entry = recent.get(number)
        assert entry is not None
        recent.judge(entry, "Ann", agrees=None)
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.namelist() == ["test/good/000001-part.png", "judgements.jsonl"]
        assert archive.read("test/good/000001-part.png") == GOOD
        lines = [json.loads(line) for line in archive.read("judgements.jsonl").splitlines()]
    assert [line["file"] for line in lines] == ["test/good/000001-part.png", None]
    assert [line["label"] for line in lines] == ["good", "good"]
