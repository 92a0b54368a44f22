"""Lists test folders in the MVTec layout: labelled pictures and the masks of their defects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from calibration.mask_matching import Place, match
from inspector.errors import DatasetError, NoImagesError
from inspector.imaging.files import is_set_aside, list_images, printable
from inspector.imaging.label_names import (
    is_good_alone,
    masks_among,
    may_hold_masks,
)

GOOD = "good"


@dataclass(frozen=True)
class LabelledPicture:
    """A picture of a test folder.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        Its path from the test folder.
    kind : str
        `good`, or the name of the folder.
    masks : tuple of Path
        Each of several masks marks a part of the defects.
    is_ambiguous : bool
        True if it was given no mask because the names of the masks have several readings.
    """

    path: Path
    name: str
    kind: str
    masks: tuple[Path, ...] = ()
    is_ambiguous: bool = False


@dataclass(frozen=True)
class LabelledFolder:
    """The pictures of a test folder, good ones first, and the names of masks that belong to none of them."""

    pictures: tuple[LabelledPicture, ...]
    unused_masks: tuple[str, ...] = ()


def labelled_folder(test_dir: Path) -> LabelledFolder:
    """List a test folder in the MVTec layout.

    Parameters
    ----------
    test_dir : Path
        Contains `good/`, or a folder of another name that means it, such as `ok`.  Every other folder is a
        kind of defect.
        The mask of `KIND/NAME.png` is `TEST_DIR/../ground_truth/KIND/NAME_mask.png`.  The folder of masks may
        also lie in the test folder or in the folder of a kind, and masks may have other names, as far as
        `mask_matching.match` finds only one reading.

    Returns
    -------
    LabelledFolder

    Raises
    ------
    DatasetError
        The folder does not exist, has no folder of good pictures or several, or has no good picture.
    """
    if not test_dir.is_dir():
        list_images(test_dir)  # raises the error that fits
    good = _good_folder(test_dir)
    pictures = [LabelledPicture(one.path, one.name, GOOD) for one in _split(good)[0]]
    if not pictures:
        raise NoImagesError(
            f"{printable(good)} holds no picture", hint="put good pictures there that the fit did not use"
        )
    kinds = [folder for folder in _folders(test_dir) if folder != good and not may_hold_masks(folder.name)]
    masks = [mask for folder in _mask_folders(test_dir) for mask in _masks_in(folder, kinds)]
    defects: list[Place] = []
    for kind in kinds:
        inspected, marked = _split(kind)
        defects += inspected
        masks += marked
    found = match(defects, masks)
    pictures += [
        LabelledPicture(
            one.path, one.name, str(one.kind), found.masks.get(one.path, ()), one.path in found.ambiguous
        )
        for one in defects
    ]
    return LabelledFolder(tuple(pictures), tuple(mask.name for mask in found.unused))


def _good_folder(test_dir: Path) -> Path:
    """Return the folder of good pictures: `good`, whatever the case, or one of its other names."""
    found = [folder for folder in _folders(test_dir) if is_good_alone(folder.name)]
    if len(found) == 1:
        return found[0]
    shown = printable(test_dir)
    if found:
        names = " and ".join(f"{printable(folder.name)}/" for folder in found)
        raise DatasetError(
            f"{shown} has the folders {names}, which both mean good pictures",
            hint=f"put all good pictures into {GOOD}/; rename the other folder if it is a kind of defect",
        )
    if any(is_good_alone(folder.name) for folder in _folders(test_dir / "test")):
        hint = f"did you mean {printable(test_dir / 'test')}?"
    else:
        hint = f"put good pictures into {GOOD}/, and each kind of defect into a folder of its own beside it"
    raise DatasetError(f"{shown} has no folder {GOOD}/", hint=hint)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted; none if it does not exist or must not be listed."""
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not is_set_aside(entry.name))
    except OSError:
        return []


def _split(kind: Path) -> tuple[list[Place], list[Place]]:
    """Return the pictures in a kind's folder, and the masks among them."""
    files = list_images(kind)
    masks = masks_among(files)
    masks |= {path for path in files if any(map(may_hold_masks, path.relative_to(kind).parts[:-1]))}
    pictures = [_place(path, kind) for path in files if path not in masks]
    return pictures, [_place(path, kind) for path in files if path in masks]


def _place(path: Path, kind: Path) -> Place:
    """Return the place of a file in a kind's folder; folders of masks do not count as a part of it."""
    *folders, name = path.relative_to(kind).parts
    below = PurePosixPath(*(folder for folder in folders if not may_hold_masks(folder)), name)
    return Place(path, path.relative_to(kind.parent).as_posix(), kind.name, below)


def _mask_folders(test_dir: Path) -> list[Path]:
    """Return the folders of masks beside the test folder and in it; the usual one first."""
    beside = test_dir.resolve().parent
    usual = beside / "ground_truth"
    found = [*_folders(beside), *_folders(test_dir)]
    found = [folder for folder in found if may_hold_masks(folder.name) and folder != usual]
    return [usual, *found] if usual.is_dir() else found


def _masks_in(mask_folder: Path, kinds: list[Path]) -> Iterator[Place]:
    """Yield the masks of defects; those of good pictures are not needed."""
    by_name = {kind.name.casefold(): kind.name for kind in kinds} | {kind.name: kind.name for kind in kinds}
    for path in list_images(mask_folder):
        first, *rest = path.relative_to(mask_folder).parts
        kind = (by_name.get(first) or by_name.get(first.casefold())) if rest else None
        if kind is None and is_good_alone(first):
            continue
        below = PurePosixPath(*rest) if kind else PurePosixPath(first, *rest)
        yield Place(path, path.relative_to(mask_folder.parent).as_posix(), kind, below)
