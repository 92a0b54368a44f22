"""The program under the limits of an operating system: files that may not be read, and little memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.bundle.store import Store
from tests.inspector.image_samples import bomb_png
from tests.inspector.tiny_bundle import good_picture, tiny_fill, write_picture
from tests.journey.program import FIT, complaint, listing, rows, run
from tests.privileges import unprivileged


@pytest.fixture
def scoring(store: Path) -> Path:
    """A store with a tiny model."""
    Store(store).publish("tiny", tiny_fill())
    return store


def test_a_bomb_is_refused_before_it_is_decoded(scoring: Path, tmp_path: Path) -> None:
    """In an address space that the decoded picture would not fit in, the picture is still `invalid`."""
    import resource

    def tight() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))

    (tmp_path / "bomb.png").write_bytes(bomb_png())
    ended = run("score", tmp_path / "bomb.png", store=scoring, code=3, before=tight)
    assert rows(ended)[0]["verdict"] == "invalid"


def test_an_unreadable_picture_is_invalid(scoring: Path, tmp_path: Path) -> None:
    """A file that the process may not read is `invalid`, and the reason says so."""
    path = write_picture(tmp_path / "part.png", good_picture())
    path.chmod(0)
    with unprivileged():
        (row,) = rows(run("score", path, store=scoring, code=3))
    assert row["reason"].startswith("unreadable: ")
    assert "ermission" in row["reason"] or "ermitted" in row["reason"]


def test_fit_refuses_a_folder_of_unreadable_pictures(store: Path, tmp_path: Path) -> None:
    """Pictures that may not be read count as unusable."""
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / "parts" / name, good_picture()).chmod(0)
    before = listing(tmp_path)
    with unprivileged():
        ended = run("fit", tmp_path / "parts", *FIT, store=store, code=4)
    assert "none usable: 2 unreadable, such as a.png" in complaint(ended)[0]
    assert listing(tmp_path) == before


def test_a_store_of_somebody_else(tmp_path: Path) -> None:
    """A store that may not be written to is named, with exit code 6, before the training."""
    for number in range(10):
        write_picture(tmp_path / "parts" / f"{number}.png", good_picture(number))
    shelf = tmp_path / "shelf"
    shelf.mkdir(mode=0o555)
    with unprivileged():
        ended = run("fit", tmp_path / "parts", *FIT, store=shelf / "store", code=6)
    message, hint = complaint(ended)
    assert "not permitted" in message
    assert "training" not in ended.stderr
    assert hint
    assert not listing(shelf)
