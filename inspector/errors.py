"""The tree of all errors that inspector raises on purpose.

    InspectorError
    ├── UsageError                 an option or argument is out of its range
    ├── ImageError                 the picture is at fault; `reason` says why
    │   ├── EmptyImageError            0 bytes
    │   ├── UnknownFormatError         not an image type that is read
    │   ├── TruncatedImageError        the file ends too early, or is damaged
    │   ├── TransparentImageError      no pixel is visible
    │   ├── ImageTooSmallError         under 32 px on a side
    │   ├── ImageTooLargeError         over the pixel or byte limit
    │   └── UnreadableImageError       the file itself cannot be opened
    ├── DatasetError               a folder of pictures cannot be used
    │   ├── NoImagesError              no picture in it
    │   ├── TooFewImagesError          not enough pictures for the task
    │   └── BadImagesError             damaged pictures, with `--strict`
    ├── BundleError                a model on disk cannot be trusted
    │   ├── MissingFileError           a file is missing
    │   ├── DigestMismatchError        a byte has changed
    │   ├── ForbiddenFileError         a file that does not belong to it, such as a pickle
    │   ├── SchemaVersionError         written by another generation of inspector
    │   └── GoldenMismatchError        this machine does not reproduce the golden scores
    ├── StoreError                 the model store cannot fulfil a request
    │   ├── ModelNotFoundError         no such name or version
    │   ├── NoCurrentModelError        no model was fitted or promoted yet
    │   ├── StoreBusyError             another process holds the lock
    │   └── StorageError               disk full, read-only or not permitted
    ├── MissingExtraError          a package is not installed, or another one hides it
    └── TrainingError              a fit failed
        ├── BudgetError                the time budget is too short to train in
        ├── DivergedError              the loss is no longer a finite number
        ├── ResumeError                the checkpoint does not fit the request
        └── ParityError                the exported graphs do not score as the trained ones

A message says what is wrong, which value, and what is allowed; `hint` says what to do next.  The tree knows
neither exit codes nor HTTP: `inspector.commands.exits` maps its branches to exit codes, and
`inspector.daemon.errors` maps its classes to HTTP answers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, TypeVar


class InvalidReason(StrEnum):
    """The reasons for the verdict `invalid`; each is carried by one leaf below `ImageError`."""

    EMPTY = "empty"
    UNKNOWN_FORMAT = "unknown_format"
    TRUNCATED = "truncated"
    TRANSPARENT = "transparent"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"


class InspectorError(Exception):
    """Root of the tree.

    Parameters
    ----------
    message : str
        One line: what is wrong, which value, what is allowed.
    hint : str, optional
        One line: what to do next.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


Branch = TypeVar("Branch", bound=InspectorError)


class UsageError(InspectorError):
    """An option or argument is out of its range."""


class ImageError(InspectorError):
    """The picture is at fault; such a picture gets the verdict `invalid`.  Only its leaves are raised."""

    reason: ClassVar[InvalidReason]


class EmptyImageError(ImageError):
    """The file has 0 bytes."""

    reason = InvalidReason.EMPTY


class UnknownFormatError(ImageError):
    """The bytes are not of an image type that is read."""

    reason = InvalidReason.UNKNOWN_FORMAT


class TruncatedImageError(ImageError):
    """The file ends too early, or is damaged."""

    reason = InvalidReason.TRUNCATED


class TransparentImageError(ImageError):
    """The alpha of every pixel is 0, in a format whose writers set it."""

    reason = InvalidReason.TRANSPARENT


class ImageTooSmallError(ImageError):
    """A side is shorter than 32 pixels."""

    reason = InvalidReason.TOO_SMALL


class ImageTooLargeError(ImageError):
    """More pixels or bytes than the limits allow; found before decoding."""

    reason = InvalidReason.TOO_LARGE


class UnreadableImageError(ImageError):
    """The file cannot be opened: missing, a folder, or not permitted."""

    reason = InvalidReason.UNREADABLE


class DatasetError(InspectorError):
    """A folder of pictures cannot be used."""


class NoImagesError(DatasetError):
    """The folder does not exist or holds no picture."""


class TooFewImagesError(DatasetError):
    """Too few pictures to train or calibrate a model."""


class BadImagesError(DatasetError):
    """There are damaged pictures, and `--strict` was given."""


class BundleError(InspectorError):
    """A model on disk cannot be trusted."""


class MissingFileError(BundleError):
    """The manifest, or a file that it lists, is missing."""


class DigestMismatchError(BundleError):
    """The bytes of a file differ from its digest."""


class ForbiddenFileError(BundleError):
    """The bundle holds a file that its manifest does not list, such as a pickle."""


class SchemaVersionError(BundleError):
    """The bundle was written for another schema version."""


class GoldenMismatchError(BundleError):
    """The golden images do not reproduce their recorded scores here."""


class StoreError(InspectorError):
    """The model store cannot fulfil a request."""


class ModelNotFoundError(StoreError):
    """No model of that name or version."""


class NoCurrentModelError(StoreError):
    """No model was fitted or promoted yet."""


class StoreBusyError(StoreError):
    """Another living process holds the lock."""


class StorageError(StoreError):
    """The disk is full, read-only or not permitted."""


class MissingExtraError(InspectorError):
    """A package is not installed, or another package of the same name hides it."""


class TrainingError(InspectorError):
    """A fit failed."""


class BudgetError(TrainingError):
    """The time budget is too short to train in."""


class DivergedError(TrainingError):
    """The loss is no longer a finite number."""


class ResumeError(TrainingError):
    """There is no checkpoint to resume, or it belongs to another request."""


class ParityError(TrainingError):
    """The exported graphs do not score as the trained networks do."""


def error_classes(branch: type[Branch]) -> list[type[Branch]]:
    """List a branch of the tree: the class itself, then every class below it, as drawn above.

    Examples
    --------
    >>> [kind.__name__ for kind in error_classes(StoreError)][:3]
    ['StoreError', 'ModelNotFoundError', 'NoCurrentModelError']
    """
    return [branch, *(kind for below in branch.__subclasses__() for kind in error_classes(below))]
