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
from tests.benchmarks.article import MMD_WEIGHT, STEPS, WIDTH
from tests.benchmarks.baseline import COMPONENTS, THUMBNAIL
from tests.benchmarks.penalties import READING as READING_OF_SCORES
from tests.benchmarks.penalties import table
from tests.benchmarks.result import ARTICLE, BASELINES, Content, load_all, read
from tests.benchmarks.section import changes, chart, section
from tests.benchmarks.summary import efforts, parts, summarised

CHARTS = "images"  # beside the page

INTRODUCTION = """# Benchmarks

How well models that were fitted with the defaults tell good pictures from defective ones, on sets of
pictures in the layout of MVTec AD. Nothing is chosen for a set: no option, no threshold. Labels are for
measuring only.

`make bench-report` writes this page from the files in `docs/results`, which `make bench DATA=FOLDER` writes.
"""
QUESTION = """## The article's question: do its auto-encoders find defects?

The same networks at 64 px with one code for each picture, 64 dimensions, 64 channels and the same time on one
thread, see [the article's preset](guides/article.md).

```
python -m tests.benchmarks.penalties DATA --sets tiles screw cubes --budget 60s --seeds 0 1 2
```

"""
EMPTY = """
No results are stored yet: `make bench DATA=FOLDER` fits and evaluates every set of a folder, and stores them.
"""
READING = f"""## What the figures are

- **Image AUROC** is the chance that a defective picture scores over a good one; 0.5 is guessing. **Pixel
  AUROC** is the same for places of the anomaly map. **AUPRO** is the share of each defect's area that is
  found, up to a false-positive rate of 0.3. All are means over seeds, with the smallest and the largest in
  brackets, and in the chart as a line.
- **False rejects** are good test pictures that were rejected. Where the promise is kept, they are not more
  than *at most* in 99.5 of 100 cases: held-out and test pictures are both draws, so their number is
  beta-binomial.
- **ms per picture** is the time from file to verdict and map, with one thread.

The baselines learn from the same good pictures:

- **template**: distance of each pixel from the mean picture, in units of its spread.
- **PCA residual**: what {COMPONENTS} principal components of {THUMBNAIL} px thumbnails leave unexplained.
- **nearest neighbour**: distance to the most similar training picture, as {THUMBNAIL} px thumbnails.
- **article**: the Wasserstein auto-encoder of the article that the project starts from, at {SIDE} px, with
  one code vector, λ = {MMD_WEIGHT:g}, {WIDTH} channels where it has 1024, and {STEPS} steps; the score is
  the squared error.

The first three see all pictures brought to one median brightness.
"""


class Report(NamedTuple):
    """The page, and the charts that it shows by their paths relative to it."""

    page: str
    charts: dict[str, str]


def report(results: Path) -> Report:
    """Make the page and its charts from a folder of results.

    Parameters
    ----------
    results : Path
        What `tests.benchmarks.detection` and `.ablation` wrote; it may be missing.
    """
    found = load_all(results)
    if not found:
        return Report(INTRODUCTION + EMPTY, {})
    blocks, charts = [INTRODUCTION], {}
    for effort in efforts(found):
        sets = summarised(found, effort)
        if sets:
            figures = {one.name: _baselines(results, one.name) for one in sets}
            path = f"{CHARTS}/benchmarks-{effort}.svg"
            charts[path] = chart(effort, sets, figures)
            blocks.append(section(effort, sets, figures, path))
        changed = {part: summarised(found, effort, part) for part in parts(found, effort)}
        if changed:
            blocks.append(changes(effort, sets, changed))
    if article := load_all(results / ARTICLE):
        blocks.append(QUESTION + table(article) + f"\n\n{READING_OF_SCORES}\n")
    return Report("\n".join([*blocks, READING]), charts)


def _baselines(results: Path, name: str) -> Content:
    content = read(results / BASELINES / f"{name}.json")
    figures: Content = {} if content is None else content["figures"]
    return figures


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
