"""The container image's install steps, in a bare Debian root."""

from __future__ import annotations

import pytest

from tests.soak import image


@pytest.mark.system
def test_the_image_serves() -> None:
    """The installed tree is small and without torch; the daemon in it scores as an ordinary user."""
    image.verify()
