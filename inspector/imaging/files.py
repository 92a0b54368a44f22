"""Lists and reads picture files, and prints their names on one line."""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path

from inspector.errors import (
    DatasetError,
    EmptyImageError,
    ImageTooLargeError,
    NoImagesError,
    UnreadableImageError,
)

MAX_BYTES = 100_000_000
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".bmp", ".tif", ".tiff"}
)

SYSTEM_NAMES = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "@tmp", "@sharebin"),  # Synology
        *("@recycle", "@recently-snapshot"),  # QNAP
        *("$recycle.bin", "recycler", "system volume information", "thumbs.db"),  # Windows
        *("__macosx", "network trash folder", "temporary items"),  # macOS
        *("lost+found", "~snapshot"),  # Linux, NetApp
    }
)
"""Names, in lower case, of files and folders that storage and operating systems put beside the user's own."""

_LONGEST_STEM_BYTES = 200


def is_set_aside(name: str) -> bool:
    """Return whether searches skip a file or folder of this name: it is hidden, or one of `SYSTEM_NAMES`.

    Examples
    --------
    >>> is_set_aside(".snapshot"), is_set_aside("@eaDir"), is_set_aside("eaDir")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def is_image_name(name: str) -> bool:
    """Return whether a search takes a file of this name: by its suffix, unless it is set aside.

    Examples
    --------
    >>> is_image_name("part.PNG"), is_image_name(".part.png"), is_image_name("notes.txt")
    (True, False, False)
    """
    suffix = os.path.splitext(name)[1]  # noqa: PTH122 - a watch asks this for 100,000 names a second
    return suffix.lower() in IMAGE_SUFFIXES and not is_set_aside(name)


def shortened(stem: str) -> str:
    """Shorten the stem of a file name to 200 bytes, so that a suffix fits on any disk."""
    kept = stem.encode("utf-8", "surrogateescape")[:_LONGEST_STEM_BYTES]
    return kept.decode("utf-8", "surrogateescape")


def list_images(folder: Path) -> list[Path]:
    """List the pictures in a folder, and in the folders below it, in the order of their relative paths.

    Pictures are recognised by suffix.  Files and folders that are set aside (`is_set_aside`) are skipped.
    Links to folders are followed; each folder is listed once, whatever leads to it, and a link to a folder
    around `folder` is skipped.

    Parameters
    ----------
    folder : Path
        The folder.  It is read even if its own name is one that searches skip.

    Returns
    -------
    list of Path
        In the same order on every machine; empty if there is no picture.

    Raises
    ------
    NoImagesError
        The folder does not exist.
    DatasetError
        A folder cannot be listed.
    """
    if not folder.is_dir():
        raise _no_folder(folder)
    found: list[Path] = []
    tops, listed = [os.fspath(folder)], set(Path(os.path.realpath(folder)).parents)
    for top in tops:  # links are followed last, so that a folder keeps its own name
        for path, folders, names in os.walk(top, onerror=_cannot_list):
            real = Path(os.path.realpath(path))
            if real in listed:
                folders.clear()
                continue
            listed.add(real)
            folders[:] = sorted(name for name in folders if not is_set_aside(name))
            tops += [link for name in folders if os.path.islink(link := os.path.join(path, name))]  # noqa: PTH114, PTH118 - as os.walk spells it
            found += [Path(path, name) for name in names if is_image_name(name)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _no_folder(path: Path) -> NoImagesError:
    """Return the error for a path that is not a folder."""
    what = "is not a folder" if path.exists() else "does not exist"
    hint = "name a folder that holds pictures"
    if glob.has_magic(str(path)):
        hint = "name one folder that holds pictures; only 'inspector score' takes globs"
    return NoImagesError(f"{printable(path)} {what}", hint=hint)


def _cannot_list(error: OSError) -> None:
    raise DatasetError(
        f"{printable(str(error.filename))} cannot be listed: {error.strerror}",
        hint="check the folder's permissions",
    ) from error


def read_picture(path: Path, max_bytes: int) -> bytes:
    """Read a regular file that is neither empty nor larger than `max_bytes`.

    Raises
    ------
    UnreadableImageError
        The file is missing, a folder, a device, or may not be read.
    EmptyImageError, ImageTooLargeError
        The file is empty or too large; it is not read.
    """
    name = printable(path)
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            check_bytes(status.st_size, name, max_bytes)
            return path.read_bytes()
    except (OSError, ValueError) as exc:  # a path with a zero byte is a ValueError
        reason = printable(getattr(exc, "strerror", None) or str(exc))
        raise UnreadableImageError(
            f"{name} cannot be opened: {reason}", hint="check the path and its permissions"
        ) from exc
    what = "is a folder" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
    raise UnreadableImageError(f"{name} {what}, not a picture", hint="name a file that holds one picture")


def check_bytes(size_bytes: int, name: str, max_bytes: int) -> None:
    """Refuse an empty picture, and one of more than `max_bytes`.

    Raises
    ------
    EmptyImageError
        There are 0 bytes.
    ImageTooLargeError
        There are more than `max_bytes`.
    """
    if size_bytes == 0:
        raise EmptyImageError(f"{name} is empty (0 bytes)", hint="copy it again from where it was taken")
    if size_bytes > max_bytes:
        raise ImageTooLargeError(
            f"{name} has {size_bytes:,} bytes; at most {max_bytes:,} are read",
            hint="reduce the picture, or raise the limit with INSPECTOR_MAX_BYTES",
        )


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return a path as one printable line.

    Line breaks, control characters and direction marks are escaped.  Bytes that are not UTF-8 are shown as
    ``\xff``.  All printable characters, emoji included, stay.

    Examples
    --------
    >>> print(printable("two\nlines 🔩.png"))
    two\nlines 🔩.png
    """
    text = os.fspath(path)
    return text if text.isprintable() else "".join(map(_printable_character, text))


def _printable_character(character: str) -> str:
    if character.isprintable() or character == "\u200d":  # the joiner inside an emoji
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that the file system could not decode
        return f"\\x{ord(character) - 0xDC00:02x}"
    return repr(character)[1:-1]
