"""Tells by the names of folders and files in labelled sets: good pictures, defects, masks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# In the form of `plain`.  The first word of a name counts as well: `ok_front` holds good pictures.
_GOOD = {"good", "ok", "normal", "nominal", "pass", "passed"}
_GOOD |= {"defect_free", "defectfree", "anomaly_free", "no_defect", "no_defects", "non_defective"}
# In German, French, Spanish and Italian; as a first word, `io` would also be the name of a board.
_GOOD |= {"gut", "gutteil", "gutteile", "conforme", "conformes"}
_GOOD_ALONE = {"io", "i_o"}
_DEFECTS = {"defect", "defects", "defective", "bad", "ng", "nok", "ko", "not_ok", "not_good", "no_good"}
_DEFECTS |= {"anomaly", "anomalies", "anomalous", "abnormal", "faulty"}
_DEFECTS |= {"reject", "rejects", "rejected", "fail", "failed"}
_DEFECTS |= {"schlecht", "schlechtteil", "schlechtteile", "ausschuss", "defekt", "defekte", "nio", "n_i_o"}
_DEFECTS |= {"non_conforme", "non_conformes", "no_conforme", "no_conformes"}

_GROUND_TRUTH = {"ground_truth", "groundtruth"}
_MASKS = {"mask", "masks", "gt", "annotation", "annotations"}
_MASKS_OF_DEFECTS = {"label", "labels"}  # among good pictures, these may be parts: labels of bottles
_MASK_FILE = re.compile(r"[-_. ](?:mask|gt|ground[-_ ]?truth|label)$", re.IGNORECASE)


def plain(name: str) -> str:
    """Return a name in lower case, with _ for spaces, dots and dashes, and without numbers at its end.

    Examples
    --------
    >>> [plain(name) for name in ("OK", "Not OK-2", "i.O.")]
    ['ok', 'not_ok', 'i_o']
    """
    return re.sub(r"[\s.-]+", "_", name.lower()).rstrip("_0123456789")


def is_good(name: str) -> bool:
    """Return whether a folder of this name holds good pictures; its first word is enough.

    Examples
    --------
    >>> [is_good(name) for name in ("good", "OK_front", "Gutteile", "not good", "scratch")]
    [True, True, True, False, False]
    """
    return is_good_alone(name) or (plain(name) not in _DEFECTS and _first_word(name) in _GOOD)


def is_good_alone(name: str) -> bool:
    """Return whether a folder of this name holds good pictures, by the whole name."""
    return plain(name) in _GOOD | _GOOD_ALONE


def is_defective(name: str) -> bool:
    """Return whether a folder of this name holds defects; its first word is enough.

    Examples
    --------
    >>> [is_defective(name) for name in ("NG", "defect_front", "Ausschuss", "scratch", "no defect")]
    [True, True, True, False, False]
    """
    return not is_good(name) and (plain(name) in _DEFECTS or _first_word(name) in _DEFECTS)


def is_ground_truth(name: str) -> bool:
    """Return whether a folder of this name can hold nothing but masks."""
    return plain(name) in _GROUND_TRUTH


def holds_masks_beside_pictures(name: str) -> bool:
    """Return whether a folder of this name holds masks if it lies beside pictures or other folders."""
    return plain(name) in _MASKS


def may_hold_masks(name: str) -> bool:
    """Return whether a folder of this name holds masks if it lies beside kinds of defects.

    Examples
    --------
    >>> [may_hold_masks(name) for name in ("ground_truth", "GroundTruth", "labels", "scratch")]
    [True, True, True, False]
    """
    return plain(name) in _GROUND_TRUTH | _MASKS | _MASKS_OF_DEFECTS


def masks_among(files: Iterable[Path]) -> set[Path]:
    """Return those files that are masks of others in the same folder: `0_mask.png` beside `0.png`.

    Examples
    --------
    >>> files = [Path("0.jpg"), Path("0_mask.png"), Path("1_mask.png")]
    >>> [path.name for path in masks_among(files)]
    ['0_mask.png']
    """
    files = list(files)
    pictures = {(path.parent, path.stem.lower()) for path in files}
    return {
        path
        for path in files
        if (found := _MASK_FILE.search(path.stem))
        and (path.parent, path.stem[: found.start()].lower()) in pictures
    }


def _first_word(name: str) -> str:
    return plain(plain(name).split("_")[0])
