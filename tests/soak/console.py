"""Drop defective pictures on the console, with a real model: the heatmap lies over the defects.

python -m tests.soak.console DATA/tiles --model BUNDLE [--screenshots DIR]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect, sync_playwright

import inspector
from calibration.labelled import LabelledPicture, labelled_folder
from inspector.imaging.decode import decode
from tests.conftest import BROWSER_FLAGS
from tests.console import hands
from tests.serving import Daemon
from tests.soak.program import demand, finish, say

SIZES = {"wide": (1440, 1000), "phone": (390, 844)}
SENT = 60  # pictures of the line before the screenshots


def verify(data: Path, model: Path, pictures: int, screenshots: Path | None) -> None:
    """Drop the most unusual pictures with a mask, one after the other, and compare pixels."""
    detector = inspector.open_model(model)
    shown = [one for one in labelled_folder(data / "test").pictures if one.masks]
    scored = sorted(shown, key=lambda one: detector.score(one.path).score or 0.0, reverse=True)
    with sync_playwright() as playwright, Daemon("--model", model) as daemon:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*BROWSER_FLAGS])
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(daemon.url)
        found = [_is_found(page, one) for one in scored[:pictures]]
        say(f"{sum(found)} of {len(found)} heatmaps lie over the defect")
        demand(found[0], f"the heatmap of {scored[0].path} does not lie over its defect")
        if screenshots:
            for one in labelled_folder(data / "test").pictures[:SENT]:
                hands.drop(page, one.path.name, one.path.read_bytes())
            hands.drop(page, scored[0].path.name, scored[0].path.read_bytes())
            for scheme in ("light", "dark"):
                for name, (width, height) in SIZES.items():
                    context = browser.new_context(
                        viewport={"width": width, "height": height},
                        color_scheme=scheme,
                    )
                    _shoot(context.new_page(), daemon.url, screenshots / f"{scheme}-{name}.png")
        browser.close()


def _is_found(page: Page, one: LabelledPicture) -> bool:
    assert one.masks
    hands.drop(page, one.path.name, one.path.read_bytes())
    hands.see(page, "fail", one.path.name)
    mask = decode(one.masks[0]).pixels[..., 0] > 0
    heat = hands.heat(page, *mask.shape)
    inside, outside = float(heat[mask].mean()), float(heat[~mask].mean())
    say(f"{one.kind}/{one.path.name}: fail, heat {inside:.1f} inside the mask, {outside:.1f} outside")
    return bool(np.greater(inside, 3 * outside))


def _shoot(page: Page, url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.goto(url)
    expect(page.locator("#state")).to_have_text("live")
    expect(page.locator("#heatmap")).not_to_have_js_property("naturalWidth", 0)
    page.wait_for_timeout(3000)
    page.screenshot(path=path, full_page=True)
    say(f"wrote {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a set of pictures with test and ground_truth")
    parser.add_argument("--model", type=Path, required=True, help="a bundle that was fitted on the set")
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--screenshots", type=Path, help="a folder for light, dark, wide and phone")
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.data, options.model, options.pictures, options.screenshots)))
