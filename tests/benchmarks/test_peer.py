"""What a peer needs is checked before anything is measured.  `tests.soak.peer` runs anomalib itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks import detection, page
from tests.benchmarks.baseline_figures import NAMES, names_of
from tests.benchmarks.peer import Peer
from tests.benchmarks.result import BASELINES, PEER, Content, Stored, place, write
from tests.benchmarks.test_page import cells, changed

NAME = "PatchCore (resnet18)"


@pytest.fixture
def without_anomalib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an import of anomalib and timm fail, as where they are not installed."""
    for name in ("anomalib", "timm"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("without_anomalib")
def test_a_missing_package_is_named_before_the_fits(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what is missing and one what to install; nothing was fitted."""
    weights = tmp_path / "resnet18.pth"
    weights.write_bytes(b"weights")
    results = tmp_path / "results"
    command = [str(data), "--steps", "2", "--results", str(results), "--peer-weights", str(weights)]
    assert detection.main(command) == 7
    said = capsys.readouterr()
    error, hint = said.err.splitlines()
    assert error.startswith("error: the peer needs anomalib, which cannot be imported: ")
    assert hint.startswith("hint: pip install anomalib torchvision")
    assert said.out == ""
    assert not results.exists()


def test_a_peer_stands_beside_the_baselines(stored: Stored, tmp_path: Path) -> None:
    """The page has a column for it where it was measured, and describes its backbone."""
    write(place(tmp_path, "quick", "screw", 0), changed(stored, "screw", 0, 0.9), stored.timing)
    request: Content = {
        "layers": ["layer2", "layer3"],
        "weights": "c0ffee",
        "packages": {"anomalib": "2.7.0"},
    }
    figures: Content = {NAME: {"auroc": 0.95, "pixel": {"auroc": 0.9, "aupro": 0.8}}}
    write(tmp_path / BASELINES / PEER / "screw.json", {"figures": figures, "request": request}, {})
    made = page.report(tmp_path)
    table = cells(made.page, "### Compared with the baselines")
    assert table[0] == ["set", "inspector", *NAMES, NAME]
    assert table[2] == ["screw", "0.900", *["-"] * len(NAMES), "**0.950**"]
    assert cells(made.page, "Pixel AUROC / AUPRO")[2][-1] == "0.900 / 0.800"
    assert f"- **{NAME}**: anomalib's PatchCore 2.7.0 on the layers layer2 and layer3" in made.page
    assert "`c0ffee…`" in made.page
    assert NAME in made.charts["images/benchmarks-quick.svg"]


def test_names_keep_their_order() -> None:
    """The baselines come in their usual order, a peer behind them, each once."""
    assert names_of([{}, {NAME: {}, NAMES[2]: {}, NAMES[0]: {}}, {NAME: {}}]) == [*NAMES, NAME]


def test_the_name_tells_the_backbone(tmp_path: Path) -> None:
    """Two backbones have two names in the tables."""
    assert Peer(tmp_path / "a.pth", "resnet18").name == NAME
    assert Peer(tmp_path / "a.pth").name == "PatchCore (wide_resnet50_2)"
