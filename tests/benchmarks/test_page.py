"""The page and its charts agree with the result files."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.benchmarks import page
from tests.benchmarks.result import BASELINES, Content, Stored, place, write

SVG = "{http://www.w3.org/2000/svg}"
AUROCS = {"screw": (0.8, 0.9, 0.85), "tiles": (0.96, 0.96, 0.96)}
BESIDE = {"template": 0.3, "PCA residual": 0.875, "nearest neighbour": 0.6, "article": 0.7}


def changed(stored: Stored, name: str, seed: int, auroc: float, variant: str | None = None) -> Content:
    """The result of a real fit, as if it were another one."""
    result: Content = deepcopy(stored.result)
    result["request"] |= {"set": name, "seed": seed, "effort": "quick", "variant": variant}
    result["image"]["auroc"] = auroc
    result["image"]["miss_rate"] = 0.25
    result["components"]["latent_mmd"]["auroc"] = 0.5 if variant else 0.75
    result["false_rejects"] = {"count": seed, "of": 6, "promised_rate": 0.05, "at_most": 1}
    if name == "tiles":
        result["pixel"] = None
    return result


@pytest.fixture
def results(stored: Stored, tmp_path: Path) -> Path:
    """Two sets with three seeds each, one with baselines, and one changed option."""
    folder = tmp_path / "results"
    for name, aurocs in AUROCS.items():
        for seed, auroc in enumerate(aurocs):
            write(place(folder, "quick", name, seed), changed(stored, name, seed, auroc), stored.timing)
    without = changed(stored, "screw", 0, 0.75, "no MMD")
    write(place(folder, "quick", "screw", 0, "no MMD"), without, stored.timing)
    figures = {name: {"auroc": auroc, "pixel": None} for name, auroc in BESIDE.items()}
    write(folder / BASELINES / "screw.json", {"figures": figures}, {})
    return folder


def cells(text: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    below = text[text.index(heading) :]
    found = re.search(r"(?:^\|.*\n)+", below, flags=re.MULTILINE)
    assert found is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines()]


def test_without_results_the_page_says_so(tmp_path: Path) -> None:
    """A folder that is missing gives a page without tables that says how to fill it."""
    made = page.report(tmp_path / "missing")
    assert "No results are stored yet" in made.page
    assert "|" not in made.page
    assert made.charts == {}


def test_means_and_ranges_by_hand(results: Path) -> None:
    """Each set has its mean over seeds with the smallest and the largest, and the mean over sets below."""
    table = cells(page.report(results).page, "## quick: 2 minutes for each fit")
    assert [row[:3] for row in table[2:]] == [
        ["screw", "0.850 (0.800 to 0.900)", "25 %"],
        ["tiles", "0.960", "25 %"],
        ["**mean**", "**0.905 (0.880 to 0.930)**", "**25 %**"],
    ]
    assert table[3][-2:] == ["-", "-"]


def test_the_best_of_each_set_is_bold(results: Path) -> None:
    """Baselines stand beside the detector; a mean over sets needs figures of all sets."""
    table = cells(page.report(results).page, "### Compared with the baselines")
    assert table[0] == ["set", "inspector", "template", "PCA residual", "nearest neighbour", "article"]
    assert table[2:] == [
        ["screw", "0.850", "0.300", "**0.875**", "0.600", "0.700"],
        ["tiles", "**0.960**", "-", "-", "-", "-"],
        ["mean", "**0.905**", "-", "-", "-", "-"],
    ]


def test_a_broken_promise_is_bold(results: Path) -> None:
    """With two rejects of six where one is allowed, the share is bold, and a sentence names the sets."""
    text = page.report(results).page
    table = cells(text, "## quick: 2 minutes for each fit")
    assert table[2][3:6] == ["**16.7 % (0 to 33.3)**", "5 %", "16.7 %"]
    assert "The promise is broken on screw, tiles." in text


def test_the_page_begins_with_the_headline(results: Path) -> None:
    """One row for each effort has the means, and the worst set by either figure."""
    table = cells(page.report(results).page, "## In short")
    assert table[2] == [
        "quick",
        "2",
        "3",
        "0.905 (0.880 to 0.930)",
        "25 %",
        "16.7 % (0 to 33.3)",
        "screw 0.850",
        "tiles 25 %",
        "**broken on screw, tiles**",
    ]


def test_changed_options_are_compared_with_the_defaults(results: Path) -> None:
    """A variant's row gives each set, then means over sets, with the differences from the defaults."""
    table = cells(page.report(results).page, "### Ablation, quick")
    assert table[0] == ["", "screw", "mean", "missed", "latent_mmd alone", "head alone", "AUPRO"]
    assert table[2][:4] == ["defaults", "0.850", "0.850", "0.250"]
    assert table[3][:4] == ["no MMD", "0.750 −.100", "0.750 −.100", "0.250 ±.000"]
    assert table[3][4] == "0.500 −.250"
    assert all(cell.endswith(" ±.000") for cell in table[3][5:])
    command = "python -m tests.benchmarks.ablation DATA --sets screw --preset quick --seeds 0"
    assert command in page.report(results).page


def test_a_mean_over_sets_needs_all_of_them(results: Path, stored: Stored) -> None:
    """A variant that was measured on one of two sets has no mean."""
    other = changed(stored, "tiles", 0, 0.9, "no pretrained weights")
    write(place(results, "quick", "tiles", 0, "no pretrained weights"), other, stored.timing)
    table = cells(page.report(results).page, "### Ablation, quick")
    assert table[2][:4] == ["defaults", "0.850", "0.960", "0.905"]
    assert table[3][:4] == ["no MMD", "0.750 −.100", "-", "-"]
    assert table[4][:4] == ["no pretrained weights", "-", "0.900 −.060", "-"]


def test_removed_variants_are_kept_as_history(results: Path, stored: Stored) -> None:
    """A variant that is no longer measured keeps its row, and a sentence says why."""
    other = changed(stored, "screw", 0, 0.9, "no push")
    write(place(results, "quick", "screw", 0, "no push"), other, stored.timing)
    text = page.report(results).page
    assert "parts that the product no longer contains: *no push*." in text
    assert [row[0] for row in cells(text, "### Ablation, quick")[3:]] == ["no MMD", "no push"]


def test_the_page_says_how_to_make_it_again(results: Path, stored: Stored) -> None:
    """The command with its seeds and sets, the commit, the machine and the packages are named."""
    text = page.report(results).page
    assert 'make bench DATA=FOLDER PRESET=quick SEEDS="0 1 2" SETS="screw tiles"' in text
    assert stored.timing["machine"]["cpu"] in text
    assert f"torch {stored.result['packages']['torch']}" in text


def test_the_chart_is_drawn_to_scale(results: Path) -> None:
    """A baseline half way from 0.5 to 1 would be in the middle; the axis' ends are 0.5 and 1."""
    chart = ElementTree.fromstring(page.report(results).charts["images/benchmarks-quick.svg"])  # noqa: S314  # our own
    ticks = [float(tick.attrib["x"]) for tick in of_class(chart, "tick")]
    marks = [mark for mark in of_class(chart, "filled") if len(mark)]  # with the value that a pointer shows
    dots = [float(mark.attrib["transform"].removeprefix("translate(").split()[0]) for mark in marks]
    shown = [0.5 + 0.5 * (dot - ticks[0]) / (ticks[-1] - ticks[0]) for dot in dots]
    assert shown == pytest.approx([0.96, 0.85, 0.905], abs=1e-4)
    names = [text.text for text in chart.iter(f"{SVG}text") if text.text in {*AUROCS, "mean"}]
    assert names == ["tiles", "screw", "mean"]


def of_class(chart: ElementTree.Element, name: str) -> list[Any]:
    """Every shape of a class, in the order of drawing."""
    return [one for one in chart.iter() if name in one.attrib.get("class", "").split()]


def test_the_page_and_its_charts_are_written(results: Path, tmp_path: Path) -> None:
    """The command writes the page of the report, and its charts into the folder that the page links to."""
    target = tmp_path / "docs" / "benchmarks.md"
    assert page.main([str(results), str(target)]) == 0
    made = page.report(results)
    assert target.read_text() == made.page
    for link in re.findall(r"\]\((images/[^)]+)\)", made.page):
        assert (target.parent / link).read_text() == made.charts[link]
