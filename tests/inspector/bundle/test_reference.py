"""`reference.npz`: arrays are read under their present names, also from older bundles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspector.bundle.folder import REFERENCE, Bundle, seal, write_bundle
from inspector.bundle.records import Manifest
from inspector.bundle.reference import (
    HELDOUT_LATENTS,
    MEMORY_BANK,
    heldout_latents,
    memory_bank_digests,
    read_reference,
    training_digests,
    write_reference,
)
from inspector.errors import BundleError
from tests.inspector.tiny_bundle import tiny_fill


def test_older_names_are_read(tmp_path: Path) -> None:
    """Arrays named `landmarks` and `landmark_digests` are returned under their present names."""
    bank = np.arange(6, dtype=np.float32).reshape(3, 2)

    def older(folder: Path) -> Manifest:
        manifest = tiny_fill(training_digests=[1])(folder)
        with np.load(folder / REFERENCE) as file:
            kept = {name: file[name] for name in file.files}
        write_reference(folder, {**kept, "landmarks": bank, "landmark_digests": np.array([7], np.uint64)})
        return manifest

    bundle = write_bundle(tmp_path / "older", older)
    np.testing.assert_array_equal(read_reference(bundle, {MEMORY_BANK})[MEMORY_BANK], bank)
    assert memory_bank_digests(bundle) == {7}
    assert training_digests(bundle) == frozenset({1})
    assert set(read_reference(bundle)) == {
        "heldout_latents",
        "training_digests",
        "memory_bank",
        "memory_bank_digests",
    }


def test_digests_may_be_missing(tmp_path: Path) -> None:
    """A bundle without digests returns None for the training pictures and nothing for the memory bank."""
    bundle = write_bundle(tmp_path / "m", tiny_fill())
    assert training_digests(bundle) is None
    assert memory_bank_digests(bundle) == frozenset()


@pytest.mark.parametrize(
    "arrays",
    [
        {"other": np.zeros(3)},
        {HELDOUT_LATENTS: np.zeros(3)},
        {HELDOUT_LATENTS: np.full((2, 2), np.nan, np.float32)},
    ],
)
def test_latents_of_another_kind_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Latents that are missing, of another shape, or not finite are refused."""

    def filled(folder: Path) -> Manifest:
        manifest = tiny_fill()(folder)
        write_reference(folder, arrays)
        return manifest

    bundle = write_bundle(tmp_path / "m", filled)
    with pytest.raises(BundleError, match=r"reference\.npz"):
        heldout_latents(bundle)


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    """A file that is not an archive of arrays is named."""
    draft = write_bundle(tmp_path / "m", tiny_fill()).manifest
    (tmp_path / "m" / REFERENCE).write_bytes(b"PK not really")
    seal(tmp_path / "m", draft)
    with pytest.raises(BundleError, match=r"reference\.npz is damaged"):
        training_digests(Bundle.open(tmp_path / "m"))
