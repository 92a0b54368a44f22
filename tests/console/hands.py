"""Actions of an operator on the console's page, and checks of its pictures."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from inspector.imaging.decode import decode

DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}"""


def drop(page: Page, name: str, data: bytes) -> None:
    """Drop a file on the page."""
    page.evaluate(DROP, [name, base64.b64encode(data).decode()])


def see(page: Page, verdict: str, name: str) -> None:
    """Wait for the verdict of one picture and for its three views."""
    expect(page.locator("#verdict-text")).to_contain_text(name)
    expect(page.locator("#verdict-word")).to_have_text(verdict)
    for view in ("picture", "heatmap", "reconstruction"):
        expect(page.locator(f"#{view}")).to_be_visible()
        expect(page.locator(f"#{view}")).not_to_have_js_property("naturalWidth", 0)


def heat(page: Page, height: int, width: int) -> NDArray[np.float64]:
    """How much the heatmap changes each pixel of the picture on the screen, (height, width)."""
    shots = []
    for opacity in (0, 100):
        page.locator("#opacity").fill(str(opacity))
        page.wait_for_timeout(300)  # the opacity fades
        shots.append(decode(page.locator("#frame").screenshot()).pixels.astype(float))
    seen = np.abs(shots[1] - shots[0]).max(axis=2)
    frame_height, frame_width = seen.shape
    scale = min(frame_height / height, frame_width / width)  # object-fit: contain
    top, left = (frame_height - height * scale) / 2, (frame_width - width * scale) / 2
    rows = (top + (np.arange(height) + 0.5) * scale).astype(int)
    columns = (left + (np.arange(width) + 0.5) * scale).astype(int)
    return np.asarray(seen[np.ix_(rows, columns)])


def lies_over(found: NDArray[np.float64], mask: NDArray[np.bool_]) -> bool:
    """True if the heat is strong inside the mask and much stronger than outside."""
    return bool(found[mask].mean() > 10 and found[mask].mean() > 4 * found[~mask].mean())
