"""`inspector demo`: its table counts right, its heatmaps show the defects, and it keeps to its folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

import models
from calibration.evaluation import measure
from calibration.image_metrics import auroc
from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.commands import demo
from inspector.demo import overview
from inspector.demo.dataset import write_dataset
from inspector.demo.photograph import KINDS, render
from inspector.imaging.decode import decode
from inspector.scoring.detector import Detector
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import tiny_fill
from tests.journey.program import undocumented

SIDE = 64


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set that nobody may change."""
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    write_dataset(folder, train=0, good=5, per_kind=5, size=SIDE)
    return folder


def test_the_table_counts_what_was_flagged(tiny: Bundle, pictures: Path) -> None:
    """Each line counts the pictures of a kind and those that were flagged, and has the AUROC."""
    measured = measure(Detector(tiny), pictures / "test")
    lines = demo.kind_table(measured, auroc)
    rows = {" ".join(line.split()[:-4]): line.split()[-4:] for line in lines if line[-1] not in "-C"}
    assert set(rows) == {*KINDS, "all defects"}
    flagged = sum(score.flagged for score in measured.defective)
    assert rows["all defects"][:3] == ["25", str(flagged), f"{flagged / 25:.0%}"]
    for kind, figures in measured.figures()["kinds"].items():
        assert rows[kind][0] == "5"
        assert rows[kind][1] == str(round(5 * (1 - figures["miss_rate"])))
        assert float(rows[kind][3]) == pytest.approx(figures["auroc"], abs=5e-4)
    rejected = sum(score.flagged for score in measured.good)
    assert lines[-1].split() == ["good", "parts", "5", str(rejected), f"{rejected / 5:.0%}", "-"]
    assert max(map(len, lines)) <= 80


def test_the_result_is_an_evaluation_and_the_files(tiny: Bundle, pictures: Path) -> None:
    """The JSON has all fields of `evaluate`, and each field of its own is documented."""
    detector = Detector(tiny)
    measured = measure(detector, pictures / "test")
    result = demo._result(measured, detector, Path("page.html"), Path("overview.png"), 61.27)
    assert measured.figures().items() <= result.items()
    assert not undocumented("demo", result.keys() - measured.figures().keys())
    assert (result["path"], result["seconds"]) == (str(tiny.path), 61.3)


def test_heatmaps_show_picture_finding_and_truth(tiny: Bundle, pictures: Path, tmp_path: Path) -> None:
    """Side by side: the picture as it is, the heatmap, and the picture with its true defect outlined."""
    sheet = overview.write_heatmaps(tmp_path / "heatmaps", pictures, Detector(tiny))
    names = {f"{kind}_{number:03d}.png" for kind in KINDS for number in range(overview.SHOWN_PER_KIND)}
    names |= {f"good_{number:03d}.png" for number in range(overview.SHOWN_GOOD)}
    assert {path.name for path in sheet.parent.iterdir()} == names | {"overview.png"}
    strip = decode(tmp_path / "heatmaps" / "dent_000.png").pixels
    step = SIDE + overview.GAP_PIXELS
    assert strip.shape == (SIDE, 3 * SIDE + 2 * overview.GAP_PIXELS, 3)
    picture = decode(pictures / "test" / "dent" / "000.png").pixels
    np.testing.assert_array_equal(strip[:, :SIDE], picture)
    outlined = (strip[:, 2 * step :] != picture).any(axis=2)
    mask = decode(pictures / "ground_truth" / "dent" / "000_mask.png").pixels[..., 0] > 0
    assert outlined.any()
    assert not (outlined & mask).any()
    rows, columns = np.nonzero(mask)
    near = np.s_[max(0, rows.min() - 4) : rows.max() + 5, max(0, columns.min() - 4) : columns.max() + 5]
    outlined[near] = False
    assert not outlined.any()
    assert decode(sheet).pixels.shape[0] == 6 * SIDE + 5 * overview.GAP_PIXELS


def test_a_good_part_has_no_outline(tiny: Bundle, pictures: Path, tmp_path: Path) -> None:
    """The third picture of a good part is the first one without an outline."""
    overview.write_heatmaps(tmp_path, pictures, Detector(tiny))
    strip = decode(tmp_path / "good_001.png").pixels
    np.testing.assert_array_equal(strip[:, :SIDE], strip[:, -SIDE:])


def test_a_folder_of_somebody_else_is_refused_before_the_work(command: Command, tmp_path: Path) -> None:
    """A folder with other files is refused with exit code 2, and stays as it is."""
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    ended = command("demo", "--output", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "not of a demo" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "option",
    [("--time-budget", "soon"), ("--size", "20"), ("--parts", "2"), ("--seed", "-1"), ("--steps", "0")],
)
def test_a_bad_option_is_named_before_the_work(
    command: Command, tmp_path: Path, option: tuple[str, str]
) -> None:
    """A value that is not allowed is a usage error that names the option, and nothing is written."""
    ended = command("demo", "--output", tmp_path / "demo", *option)
    assert (ended.code, ended.out) == (2, "")
    assert option[0] in ended.err
    assert not (tmp_path / "demo").exists()


def test_a_whole_demo_over_an_earlier_one(
    command: Command, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo names files that exist, leaves the user's store alone, and replaces old pictures."""
    monkeypatch.setattr(models, "fit", partial(models.fit, image_size=64))  # quicker than 256
    output = tmp_path / "demo"
    write_dataset(output / "pictures", train=8, good=1, per_kind=1, size=SIDE, seed=7)
    Store(output / "store").publish(demo.NAME, tiny_fill())
    ended = command(
        "demo", "--output", output, "--parts", "12", "--size", "64", "--steps", "2", "--format", "table"
    )
    assert ended.code == 0, ended.err
    said = dict(line.split(maxsplit=1) for line in ended.out.splitlines() if len(line.split()) > 1)
    assert said["model"] == "demo@2"
    assert said["learned"] == "12 good pictures; 2 steps"
    assert Path(said["report"]).is_file()
    assert Path(said["evaluation"]).is_file()
    assert Path(said["heatmaps"].removesuffix(" and beside it")).is_file()
    assert "versions/2" in ended.out.partition("Go on with")[2]
    assert not store.root.exists()
    pixels = decode(output / "pictures" / "train" / "good" / "000.png").pixels
    np.testing.assert_array_equal(pixels, render(0, size=64).picture)
    scored = command(
        "score", output / "pictures/test/dent/000.png", "--model", said["report"].rpartition("/")[0]
    )
    assert scored.code in (0, 1)
