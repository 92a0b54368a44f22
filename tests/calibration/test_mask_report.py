"""What is odd about masks is said in sentences that name files."""

from __future__ import annotations

from calibration.mask_report import MaskReport

NAMES = [f"dent/{number}.png" for number in range(5)]


def test_nothing_is_said_when_all_is_well() -> None:
    """Whole sets of masks, and sets without any, need no sentence."""
    assert MaskReport(5, counted=5).sentences() == []
    without = MaskReport(5, missing=NAMES)
    assert (without.sentences(), without.as_dict()) == ([], None)


def test_each_oddity_has_a_sentence() -> None:
    """Every list becomes a sentence with its first three names, and the number of the others."""
    report = MaskReport(
        9,
        counted=4,
        missing=NAMES,
        ambiguous=NAMES[:1],
        invalid=NAMES[1:2],
        unused=["ground_truth/dent/9_mask.png"],
        unusable={"dent/3.png": "mask 3_mask.png has 64 x 64 pixels, its picture 96 x 64"},
        empty=NAMES[:2],
        lossy=NAMES[2:3],
        mostly_defect=NAMES[:4],
    )
    several = "dent/0.png, dent/1.png, dent/2.png and"
    assert report.sentences() == [
        f"5 of 9 pictures of defects have no mask, and the pixel figures leave them out: {several} 2 more.",
        "Several masks could belong to dent/0.png: call the mask of NAME.png NAME_mask.png.",
        "1 mask belongs to no picture of a defect: ground_truth/dent/9_mask.png.",
        "The pixel figures leave out pictures that have a mask, but could not be judged: dent/1.png.",
        "1 mask cannot be used, and the pixel figures leave its picture out: mask 3_mask.png has 64 x 64 "
        "pixels, its picture 96 x 64.",
        "2 masks mark nothing, so the whole picture counts as good: dent/0.png, dent/1.png.",
        "1 mask was stored with loss, as JPEG does, so only values above half of the largest count as "
        "defect: dent/2.png.",
        f"4 masks mark more than half of the picture: {several} 1 more. Values above 0 mean defect: if they "
        "mean background there, invert the masks.",
    ]
    assert report.as_dict() is not None


def test_masks_that_fit_no_picture_are_reported() -> None:
    """If no mask fits any picture, the report says so instead of being silent."""
    lost = MaskReport(2, missing=NAMES[:2], unused=["ground_truth/a.png", "ground_truth/b.png"])
    assert lost.sentences()[0].startswith("2 of 2 pictures of defects have no mask")
    assert lost.sentences()[1].startswith("2 masks belong to no picture")
