"""`reference.npz`: the arrays that a bundle keeps about the pictures it was made from."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.bundle.atomic import storage_errors
from inspector.bundle.folder import REFERENCE, Bundle, file_sha256
from inspector.errors import BundleError

HELDOUT_LATENTS = "heldout_latents"
"""float32 (n, d), one row per held-out picture; drift is measured against them."""

TRAINING_DIGESTS = "training_digests"
"""uint64 (n,), digests of the files that the networks were trained on."""

MEMORY_BANK = "memory_bank"
"""The entries of the memory bank that the detector graph holds."""

MEMORY_BANK_DIGESTS = "memory_bank_digests"
"""uint64 (n,), digests of the held-out files whose patches are in the memory bank."""

CALIBRATION_DIGESTS = "calibration_digests"
"""uint64 (n,), digests of the good pictures that set the thresholds."""

_FORMER_NAMES = {"landmarks": MEMORY_BANK, "landmark_digests": MEMORY_BANK_DIGESTS}


def write_reference(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays, by their names above, into the folder of a bundle that is being filled."""
    np.savez(folder / REFERENCE, allow_pickle=False, **arrays)


def read_reference(bundle: Bundle, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """Read those of the named arrays that the bundle has, or all of them.

    Arrays of older bundles are returned under their present names.

    Raises
    ------
    BundleError
        The file is damaged.
    StorageError
        The file may not be read.
    """
    where = bundle.path / REFERENCE
    try:
        with storage_errors(where), np.load(where, allow_pickle=False) as file:
            present = {_FORMER_NAMES.get(name, name): name for name in file.files}
            return {name: file[key] for name, key in present.items() if names is None or name in names}
    except (ValueError, zipfile.BadZipFile) as exc:
        raise BundleError(f"{where} is damaged: {exc}", hint="fit the model again") from exc


def heldout_latents(bundle: Bundle) -> NDArray[np.float32]:
    """Read the latents of the held-out normals, averaged over patches, float32 (n, d).

    Raises
    ------
    BundleError
        `reference.npz` does not hold them, or holds something else.
    """
    where = bundle.path / REFERENCE
    rows = read_reference(bundle, {HELDOUT_LATENTS}).get(HELDOUT_LATENTS)
    if rows is None:
        raise BundleError(f"{where} holds no latents of held-out normals", hint="fit the model again")
    if rows.ndim != 2 or rows.dtype != np.float32 or not np.isfinite(rows).all():
        raise BundleError(
            f"{where}: {HELDOUT_LATENTS} is {rows.dtype} {rows.shape}; allowed is finite float32 (n, d)",
            hint="fit the model again",
        )
    return rows


def training_digests(bundle: Bundle) -> frozenset[int] | None:
    """Return the digests of the files that the networks were trained on; None if they are not recorded."""
    found = read_reference(bundle, {TRAINING_DIGESTS})
    return frozenset(found[TRAINING_DIGESTS].tolist()) if found else None


def memory_bank_digests(bundle: Bundle) -> frozenset[int]:
    """Return the digests of the held-out files whose patches are in the memory bank."""
    found = read_reference(bundle, {MEMORY_BANK_DIGESTS})
    return frozenset(found[MEMORY_BANK_DIGESTS].tolist()) if found else frozenset()


def used_digests(bundle: Bundle) -> frozenset[int]:
    """Return the digests of all pictures that the fit or the calibration used, as far as recorded."""
    found = read_reference(bundle, {TRAINING_DIGESTS, MEMORY_BANK_DIGESTS, CALIBRATION_DIGESTS})
    return frozenset(digest for digests in found.values() for digest in digests.tolist())


def count_used(bundle: Bundle, paths: Iterable[Path]) -> int:
    """Count the files that the fit or the calibration of a model used; a file that is gone does not count."""
    known, used = used_digests(bundle), 0
    for path in paths if known else ():
        with contextlib.suppress(OSError):
            used += content_digest(path) in known
    return used


def used_in_words(used: int, images: int) -> list[str]:
    """Return one sentence that warns of pictures that the fit or the calibration used, if there are any.

    Examples
    --------
    >>> used_in_words(30, 40)[0].split(":")[0]
    '30 of 40 pictures were used in the fit or its calibration'
    """
    if not used:
        return []
    return [
        f"{used} of {images} pictures {'was' if used == 1 else 'were'} used in the fit or its calibration: "
        "the model knows them, so take other pictures for figures that hold for new parts"
    ]


def content_digest(path: Path) -> int:
    """Return the digest of one file as these arrays hold it; see `short_digest`."""
    return short_digest(file_sha256(path))


def short_digest(sha256: str) -> int:
    """Return the first 8 bytes of a SHA-256 in hexadecimal as a number, most significant byte first.

    Examples
    --------
    >>> short_digest("00000000000000ff" + 48 * "0")
    255
    """
    return int(sha256[:16], 16)
