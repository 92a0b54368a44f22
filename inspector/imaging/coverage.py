"""Tells how many pixels of a picture one pixel of the model covers, in numbers and in words."""

from __future__ import annotations

Size = tuple[int, int]
"""Width and height in pixels."""


def covered(picture: Size, model: Size) -> tuple[float, float]:
    """Return how many pixels of a picture one pixel of the model covers, in width and in height.

    Examples
    --------
    >>> covered((1600, 1200), (256, 256))
    (6.25, 4.6875)
    """
    return picture[0] / model[0], picture[1] / model[1]


def in_words(smallest: Size, largest: Size, model: Size) -> str:
    """Say how many pixels of a picture one pixel of the model covers.

    Parameters
    ----------
    smallest, largest : (width, height)
        The pictures with the fewest and with the most pixels.
    model : (width, height)
        The size of the model's pictures.

    Examples
    --------
    >>> in_words((1600, 1200), (1600, 1200), (256, 256))
    'one pixel of the model covers 6.2 x 4.7 pixels of the picture'
    >>> in_words((300, 200), (1600, 1200), (256, 256))
    'one pixel of the model covers 1.2 x 0.8 to 6.2 x 4.7 pixels of the picture, which differ in size'
    >>> in_words((200, 200), (256, 256), (256, 256))
    'the model sees every pixel of the picture'
    """
    if max(covered(largest, model)) <= 1 and max(covered(smallest, model)) <= 1:
        return "the model sees every pixel of the picture"
    few, many = (
        f"{across:.1f} x {down:.1f}"
        for across, down in (covered(size, model) for size in (smallest, largest))
    )
    if few == many:
        return f"one pixel of the model covers {many} pixels of the picture"
    return f"one pixel of the model covers {few} to {many} pixels of the picture, which differ in size"
