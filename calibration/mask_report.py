"""Reports oddities of the masks of an evaluation, as facts and in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inspector.imaging.files import printable

NAMED = 3  # files that a sentence names; it counts the others


@dataclass
class MaskReport:
    """The masks of an evaluation: how many were counted, and which ones are odd.

    Pictures are named by their path from the test folder, masks from the folder above the folder of masks.

    Attributes
    ----------
    defective_images : int
        Number of pictures of defects.
    counted : int
        Number of those whose masks enter the pixel figures.
    missing, ambiguous : list of str
        Pictures of defects without a mask, and those of them that could have several.
    invalid : list of str
        Pictures of defects that have a mask, and could not be judged.
    unused : list of str
        Masks that belong to no picture of a defect.
    unusable : dict of str to str
        Pictures of defects with a mask that has another size or cannot be read, each with the error.
    empty, lossy, mostly_defect : list of str
        Pictures whose masks mark nothing; were stored lossily; mark more than half of the picture.
    """

    defective_images: int = 0
    counted: int = 0
    missing: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    lossy: list[str] = field(default_factory=list)
    mostly_defect: list[str] = field(default_factory=list)

    @property
    def has_masks(self) -> bool:
        """True if there is a mask, even one that belongs to no picture."""
        return bool(len(self.missing) < self.defective_images or self.ambiguous or self.unused)

    def as_dict(self) -> dict[str, Any] | None:
        """Return the facts, for JSON; None without masks."""
        return asdict(self) if self.has_masks else None

    def sentences(self) -> list[str]:
        """Return one sentence for each oddity that the pixel figures suffer from; none if all is well."""
        return list(self._sentences()) if self.has_masks else []

    def _sentences(self) -> Iterator[str]:
        if self.missing:
            yield (
                f"{len(self.missing)} of {self.defective_images} pictures of defects have no mask, and the "
                f"pixel figures leave them out: {_named(self.missing)}."
            )
        if self.ambiguous:
            yield (
                f"Several masks could belong to {_named(self.ambiguous)}: call the mask of NAME.png "
                "NAME_mask.png."
            )
        if self.unused:
            belong = _masks(self.unused, "belongs", "belong")
            yield f"{belong} to no picture of a defect: {_named(self.unused)}."
        if self.invalid:
            yield (
                "The pixel figures leave out pictures that have a mask, but could not be judged: "
                f"{_named(self.invalid)}."
            )
        if self.unusable:
            pictures = "its picture" if len(self.unusable) == 1 else "their pictures"
            yield (
                f"{_masks(list(self.unusable), 'cannot', 'cannot')} be used, and the pixel figures leave "
                f"{pictures} out: {_named(list(self.unusable.values()), '; ')}."
            )
        if self.empty:
            yield (
                f"{_masks(self.empty, 'marks', 'mark')} nothing, so the whole picture counts as good: "
                f"{_named(self.empty)}."
            )
        if self.lossy:
            yield (
                f"{_masks(self.lossy, 'was', 'were')} stored with loss, as JPEG does, so only values above "
                f"half of the largest count as defect: {_named(self.lossy)}."
            )
        if self.mostly_defect:
            yield (
                f"{_masks(self.mostly_defect, 'marks', 'mark')} more than half of the picture: "
                f"{_named(self.mostly_defect)}. Values above 0 mean defect: if they mean background there, "
                "invert the masks."
            )


def _masks(names: Sequence[str], one: str, several: str) -> str:
    return f"1 mask {one}" if len(names) == 1 else f"{len(names)} masks {several}"


def _named(names: Sequence[str], between: str = ", ") -> str:
    shown = between.join(map(printable, names[:NAMED]))
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
