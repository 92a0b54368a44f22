"""Writes docs/benchmarks.md and its charts from the result files: `make bench-report`.

python -m tests.benchmarks.page docs/results docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from inspector.bundle.atomic import write_bytes
from models.article.networks import SIDE
from tests.benchmarks import headline, peer
from tests.benchmarks.autoencoders import LATENT_DIM, WIDTH, table
from tests.benchmarks.autoencoders import READING as READING_OF_SCORES
from tests.benchmarks.baseline import (
    ARTICLE_STEPS,
    ARTICLE_WEIGHT,
    ARTICLE_WIDTH,
    PRINCIPAL_COMPONENTS,
    THUMBNAIL,
)
from tests.benchmarks.result import ARTICLE, BASELINES, PEER, Content, Stored, load_all, read
from tests.benchmarks.section import changes, chart, section
from tests.benchmarks.summary import efforts, summarised, variants
from tests.benchmarks.table import markdown

CHARTS = "images"  # beside the page

INTRODUCTION = """# Benchmarks

This page shows how well inspector tells defective pictures from good ones, and how many defects pass at
the threshold that a fit sets by itself. The models were fitted with the default options on sets of
pictures in the MVTec AD layout. No option and no threshold is chosen for a set, and labels are used for
measuring only.

`make bench DATA=FOLDER` measures and writes result files to `docs/results`. `make bench-report` writes
this page from these files. The [last section](#how-to-read-the-figures) explains the figures.
"""
IN_SHORT = """## In short

Means over the sets, which count equally. In brackets are the smallest and the largest mean of one seed.
"""
QUESTION = f"""## The article's question: do its auto-encoders find defects?

All methods use the networks of [the article's preset](guides/article.md) at {SIDE} px, with
{LATENT_DIM} latent dimensions, {WIDTH} channels, the same training time and one thread.

```
python -m tests.benchmarks.autoencoders DATA --sets tiles screw cubes --budget 60s --seeds 0 1 2
```

"""
EMPTY = """
No results are stored yet. `make bench DATA=FOLDER` fits and evaluates every set of a folder and stores
the results.
"""
READING = f"""## How to read the figures

- All figures are means over seeds. The smallest and the largest value stand in brackets if they differ,
  and as a line in the charts.
- **Image AUROC** is the probability that a defective picture scores higher than a good one: 1 is
  perfect, 0.5 is guessing.
- **Defects missed** is the share of defective pictures that pass. The threshold is the model's own: it
  *promises* a rate of good pictures that are rejected.
- **Good rejected** is the share of good test pictures that were rejected. If the promise is kept, it is
  **at most** the given share in 99.5 of 100 cases. Fewer pictures allow a larger share: the number of
  rejected pictures is beta-binomially distributed, because the held-out pictures and the test pictures
  are both random draws. A share beyond it is in bold: the promise is broken.
- **Pixel AUROC** is the probability that a pixel of a defect has a higher value in the anomaly map than
  a good one. **AUPRO** is the share of each defect's area that the map covers, averaged over
  false-positive rates up to 0.3; 1 is perfect. Both need masks.
- **ms per picture** is the time from the file to verdict and anomaly map, with one thread.

The baselines learn from the same good pictures:

- **template**: the distance of each pixel from the mean picture, in units of the pixel's spread.
- **PCA residual**: the part of a {THUMBNAIL} px thumbnail that {PRINCIPAL_COMPONENTS} principal
  components do not explain.
- **nearest neighbour**: the distance to the most similar training picture, as {THUMBNAIL} px thumbnails.
- **article**: the Wasserstein auto-encoder of the article that the project started from, at {SIDE} px,
  with one latent vector for a picture, λ = {ARTICLE_WEIGHT:g}, {ARTICLE_WIDTH} channels where the
  article has 1024, and {ARTICLE_STEPS} training steps. The score is the squared error of the
  reconstruction.

The first three baselines see all pictures at the same median brightness.
"""


class Report(NamedTuple):
    """The text of the page, and its charts by their paths relative to the page."""

    page: str
    charts: dict[str, str]


def report(results: Path) -> Report:
    """Write the page and its charts from a folder of results.

    Parameters
    ----------
    results : Path
        The files that the measurements wrote; the folder may be missing.
    """
    found = load_all(results)
    if not found:
        return Report(INTRODUCTION + EMPTY, {})
    blocks, charts = [INTRODUCTION, _in_short(found)], {}
    for effort in efforts(found):
        sets = summarised(found, effort)
        if sets:
            figures = {one.name: _baselines(results, one.name) for one in sets}
            path = f"{CHARTS}/benchmarks-{effort}.svg"
            charts[path] = chart(effort, sets, figures)
            blocks.append(section(effort, sets, figures, path))
        changed = {name: summarised(found, effort, name) for name in variants(found, effort)}
        if changed:
            blocks.append(changes(effort, sets, changed))
    if article := load_all(results / ARTICLE):
        blocks.append(QUESTION + table(article) + f"\n\n{READING_OF_SCORES}\n")
    return Report("\n".join(block for block in [*blocks, READING, _peers(results)] if block), charts)


def _in_short(found: list[Stored]) -> str:
    """Return the headline: one row for each effort."""
    sets = {effort: summarised(found, effort) for effort in efforts(found)}
    rows = [headline.in_short(effort, one) for effort, one in sets.items() if one]
    return f"{IN_SHORT}\n{markdown(headline.IN_SHORT_HEADER, rows)}" if rows else ""


def _baselines(results: Path, name: str) -> Content:
    """Return the figures of the baselines on a set, and those of a peer, as far as they were measured."""
    stored = [read(results / folder / f"{name}.json") for folder in (BASELINES, f"{BASELINES}/{PEER}")]
    return {key: value for one in stored if one for key, value in one["figures"].items()}


def _peers(results: Path) -> str:
    """Describe the peers that were measured."""
    stored = map(read, sorted((results / BASELINES / PEER).glob("*.json")))
    lines = [peer.in_words(one) for one in stored if one and "figures" in one]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def main(words: list[str] | None = None) -> int:
    """Write the page and its charts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="what the measurements wrote")
    parser.add_argument("page", type=Path, help="the file to write; its charts go into images/ beside it")
    options = parser.parse_args(words)
    made = report(options.results)
    for name, content in {options.page.name: made.page, **made.charts}.items():
        path = options.page.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content.encode())
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
