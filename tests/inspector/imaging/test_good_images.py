"""A labelled set is told from a folder of good pictures by the names of its folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.errors import DatasetError, NoImagesError
from inspector.imaging.files import list_images
from inspector.imaging.good_images import Half, list_good_images

MVTEC = ("train/good/0.png", "test/good/0.png", "test/crack/0.png", "ground_truth/crack/0_mask.png")
VISA = ("Data/Images/Normal/0.JPG", "Data/Images/Anomaly/0.JPG", "Data/Masks/Anomaly/0.png")
BTAD = ("train/ok/0.bmp", "test/ok/0.bmp", "test/ko/0.bmp", "ground_truth/ko/0.png")


def made(root: Path, *names: str) -> Path:
    """Make a set of empty files."""
    for name in names:
        path = root / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root / "set"


@pytest.mark.parametrize(
    ("names", "given", "for_fit", "for_calibrate"),
    [
        (MVTEC, ".", "train/good", "test/good"),
        (MVTEC, "test", "train/good", "test/good"),
        (MVTEC, "test/crack", "train/good", "test/good"),
        (MVTEC, "ground_truth", "train/good", "test/good"),
        (MVTEC, "ground_truth/crack", "train/good", "test/good"),
        (MVTEC[:1] + MVTEC[2:], "test", "train/good", "train/good"),
        (MVTEC[1:], ".", "test/good", "test/good"),
        (("test/good/0.png", "test/ground_truth/0.png"), ".", "test/good", "test/good"),
        (VISA, ".", "Data/Images/Normal", "Data/Images/Normal"),
        (BTAD, ".", "train/ok", "test/ok"),
        (BTAD, "test/ko", "train/ok", "test/ok"),
        (("train/0.png", "test/0.png"), ".", "train", "train"),
        (("OK/0.png", "NG/0.png"), ".", "OK", "OK"),
        (("OK/0.png", "NG/0.png"), "NG", "OK", "OK"),
        (("ok_front/0.png", "def_front/0.png"), ".", "ok_front", "ok_front"),
        (("Normal/0.png", "Abnormal/0.png"), ".", "Normal", "Normal"),
        (("good/0.png", "scratch/0.png"), ".", "good", "good"),
        (("defect-free/0.png", "defective/0.png"), ".", "defect-free", "defect-free"),
        (("line1/pass/0.png", "line1/fail/0.png"), ".", "line1/pass", "line1/pass"),
        (("good/0.png", "not ok/0.png"), ".", "good", "good"),
        (("reject/0.png", "0.png"), ".", None, None),
        (("anomalies/0.png",), "anomalies", None, None),
        (("picture/0.png", "mask/0.png"), ".", None, None),
        (("0.png", "0_mask.png"), ".", None, None),
        (("0.png", "0_GT.png"), ".", None, None),
    ],
)
def test_a_labelled_set(
    names: tuple[str, ...], given: str, for_fit: str | None, for_calibrate: str | None, tmp_path: Path
) -> None:
    """A labelled set is refused; the hint is the same command with its good pictures, if it has any."""
    root = made(tmp_path, *names)
    asked: list[tuple[str, Half, str | None]] = [
        ("fit", "train", for_fit),
        ("calibrate", "test", for_calibrate),
    ]
    for verb, half, meant in asked:
        command = ("inspector", verb, str(root / given), "--output", "b c")
        with pytest.raises(DatasetError) as refused:
            list_good_images(root / given, half=half, command=command)
        assert str(root / given) in refused.value.message
        assert refused.value.message.endswith("; --recursive-anyway takes every picture")
        if meant is None:
            assert refused.value.hint == "name the folder of good pictures alone"
        else:
            assert refused.value.hint == f"inspector {verb} {root / meant} --output 'b c'"
    assert list_good_images(root / given, anyway=True) == list_images(root / given)


@pytest.mark.parametrize(
    "names",
    [
        ("0.png", "1.png"),
        ("sn001/0.png", "sn002/0.png", "sn003/deep/0.png"),
        ("monday/0.png", "tuesday/0.png", "0.png"),
        ("good/0.png",),
        ("train/good/0.png",),
        ("train/0.png",),
        ("good/0.png", "good_2/0.png", "ok/0.png"),
        ("okay/0.png", "badger/0.png", "tests/0.png", "masked/0.png"),
        ("mask/0.png",),
        ("left.png", "left_label.jpg.png", "front_mask.png"),
    ],
)
def test_good_pictures(names: tuple[str, ...], tmp_path: Path) -> None:
    """Folders of parts, days or serial numbers are taken, and so is `train` with nothing but `good`."""
    root = made(tmp_path, *names)
    assert list_good_images(root) == list_images(root)


@pytest.mark.parametrize("given", ["train", "train/good", "test/good"])
def test_good_parts_of_a_labelled_set(given: str, tmp_path: Path) -> None:
    """The good parts of a labelled set are taken as they are."""
    root = made(tmp_path, *MVTEC)
    assert list_good_images(root / given) == list_images(root / given)


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint is relative, too; a model gets the name of the set, unless it has one already."""
    root = made(tmp_path, *MVTEC)
    monkeypatch.chdir(root / "test")
    with pytest.raises(DatasetError) as refused:
        list_good_images(Path(), command=("inspector", "fit", "."))
    assert refused.value.hint == "inspector fit ../train/good --name set"
    with pytest.raises(DatasetError) as refused:
        list_good_images(Path("crack"), command=("inspector", "fit", "--name=x", "crack/"))
    assert refused.value.hint == "inspector fit --name=x ../train/good"


def test_what_a_watch_sorted(tmp_path: Path) -> None:
    """A test for drift takes folders that a watch sorted by verdict; a fit does not."""
    root = made(tmp_path, "pass/0.png", "fail/0.png", "invalid/0.png")
    assert list_good_images(root, sorted_too=True) == list_images(root)
    with pytest.raises(DatasetError, match="pass, fail, invalid"):
        list_good_images(root)
    made(tmp_path, "scratch/0.png")
    with pytest.raises(DatasetError, match="scratch"):
        list_good_images(root, sorted_too=True)


def test_no_picture(tmp_path: Path) -> None:
    """An empty folder is refused with the formats that are read, whatever its name."""
    (tmp_path / "test").mkdir()
    with pytest.raises(NoImagesError, match="holds no picture") as refused:
        list_good_images(tmp_path / "test")
    assert ".png" in refused.value.hint


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("gut", "schlecht"),
        ("Gutteile", "Ausschuss"),
        ("iO", "niO"),
        ("i.O.", "n.i.O."),
        ("conforme", "non conforme"),
        ("batch1", "Defekte"),
    ],
)
def test_words_of_other_languages(good: str, bad: str, tmp_path: Path) -> None:
    """Folders of good and bad parts are known by their usual names in German, French, Spanish and Italian."""
    folder = made(tmp_path, f"{good}/0.png", f"{bad}/0.png")
    with pytest.raises(DatasetError, match="holds more than good pictures"):
        list_good_images(folder)
    assert len(list_good_images(folder, anyway=True)) == 2


def test_boards_side_by_side_are_good_pictures(tmp_path: Path) -> None:
    """`io` means good alone, but not as the first word of the name of a board."""
    assert len(list_good_images(made(tmp_path, "io_board/0.png", "power_board/0.png"))) == 2
