"""Everything inspector raises on purpose.

    InspectorError
    ├── UsageError                 an option or argument is out of its range
    ├── ImageError                 the picture is at fault; `reason` says how
    │   ├── EmptyImageError            0 bytes
    │   ├── UnknownFormatError         not an image type that is read
    │   ├── TruncatedImageError        the file ends too early, or is damaged
    │   ├── ImageTooSmallError         under 32 px on a side
    │   ├── ImageTooLargeError         over the pixel or byte limit
    │   └── UnreadableImageError       the file itself cannot be opened
    ├── DatasetError               a folder of pictures cannot be used
    │   ├── NoImagesError              no picture in it
    │   ├── TooFewImagesError          not enough pictures for what was asked
    │   └── BadImagesError             damaged pictures, and `--strict` was given
    ├── BundleError                a model on disk cannot be trusted
    │   ├── MissingFileError           a file of it is gone
    │   ├── DigestMismatchError        a byte of it changed
    │   ├── ForbiddenFileError         something that could run code lies in it
    │   ├── SchemaVersionError         written by another generation of inspector
    │   └── GoldenMismatchError        this machine does not reproduce its scores
    ├── StoreError                 the model store
    │   ├── ModelNotFoundError         no such name or version
    │   ├── NoCurrentModelError        nothing was fitted yet
    │   ├── StoreBusyError             another process holds the lock
    │   └── StorageError               disk full, read-only or not permitted
    ├── MissingExtraError          a package of an optional extra is not installed
    └── TrainingError              a fit cannot end well
        ├── BudgetError                the time budget is too short to train in
        ├── DivergedError              the loss is no longer a number
        ├── ResumeError                the checkpoint does not fit the request
        └── ParityError                the exported graphs do not score as the trained ones

Each error says what is wrong, with which value and what would be allowed; `hint` says what to do
next.  The tree knows neither exit codes nor HTTP: `inspector.commands.exits` maps branches to both.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, TypeVar


class InvalidReason(StrEnum):
    """The reasons for the verdict `invalid`; each is carried by one leaf below `ImageError`."""

    EMPTY = "empty"
    UNKNOWN_FORMAT = "unknown_format"
    TRUNCATED = "truncated"
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
    """The picture ends too early or is damaged."""

    reason = InvalidReason.TRUNCATED


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
    """Fewer pictures than a model can be learned or calibrated from."""


class BadImagesError(DatasetError):
    """Damaged pictures among the good ones while `--strict` was given."""


class BundleError(InspectorError):
    """A model on disk cannot be trusted."""


class MissingFileError(BundleError):
    """A file that the manifest lists, or the manifest itself, is not there."""


class DigestMismatchError(BundleError):
    """A file's bytes are not the ones that were written."""


class ForbiddenFileError(BundleError):
    """The bundle holds a file that its manifest does not list, such as a pickle."""


class SchemaVersionError(BundleError):
    """The bundle was written for another schema version."""


class GoldenMismatchError(BundleError):
    """The golden images do not reproduce their recorded scores here."""


class StoreError(InspectorError):
    """The model store cannot do what was asked."""


class ModelNotFoundError(StoreError):
    """No model of that name or version."""


class NoCurrentModelError(StoreError):
    """No model was fitted or promoted yet."""


class StoreBusyError(StoreError):
    """Another living process holds the lock."""


class StorageError(StoreError):
    """The disk is full, read-only or not permitted."""


class MissingExtraError(InspectorError):
    """A package of an optional extra is not installed."""


class TrainingError(InspectorError):
    """A fit cannot end well."""


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
