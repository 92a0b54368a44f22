"""Pictures are counted by their folders, in one sentence."""

from __future__ import annotations

from inspector.imaging.subfolders import count_folders, folders_in_words


def test_one_folder_needs_no_sentence() -> None:
    """Neither the top folder alone nor one folder below it gets a sentence."""
    assert folders_in_words(count_folders(["1.png", "2.png"])) == []
    assert folders_in_words(count_folders(["good/1.png", "good/2.png"])) == []


def test_at_most_six_folders_are_named() -> None:
    """A sentence names six folders and counts the others."""
    names = [f"batch{number}/{picture}.png" for number in range(1, 9) for picture in range(number)]
    (said,) = folders_in_words(count_folders(names))
    assert said.startswith("pictures of 8 folders: batch1 1, batch2 2, ")
    assert said.endswith(", batch6 6 and 2 more")


def test_folders_below_folders_keep_their_path() -> None:
    """Pictures of the top folder itself are counted as well."""
    counts = count_folders(["0.png", "monday/left/1.png", "monday/right/1.png", "monday/right/2.png"])
    assert counts == {".": 1, "monday/left": 1, "monday/right": 2}
    assert "the top folder 1, monday/left 1, monday/right 2" in folders_in_words(counts)[0]
