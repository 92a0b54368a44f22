"""The tables that the measurements print while they run."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.result import Content, Stored

WIDTH = 12  # characters of a set's name
HEADER = (
    f"{'set':<{WIDTH}} seed AUROC    interval  change pixel AUPRO  rejects at most missed "
    f"{'steps':>6} {'fit':>6} {'ms':>5}  components alone"
)


def number(value: float | None) -> str:
    """Write a figure between 0 and 1, or a dash where there is none.

    Examples
    --------
    >>> number(0.98765), number(1.0), number(None)
    ('0.988', '1.000', '-')
    """
    return "-" if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Write a share in percent, or a dash where there is none.

    Examples
    --------
    >>> percent(0.05), percent(1 / 15), percent(None)
    ('5 %', '6.7 %', '-')
    """
    return "-" if value is None else f"{100 * value:.1f}".removesuffix(".0") + " %"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table: the first column on the left, figures on the right."""
    lines = [header, [":--", *["--:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table for a terminal: the first column on the left, figures on the right.

    Examples
    --------
    >>> print(aligned(["set", "AUROC"], [["tiles", "0.875"], ["cubes", "1"]]))
    set    AUROC
    tiles  0.875
    cubes      1
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(row)
        ).rstrip()
        for row in (list(zip(line, widths, strict=True)) for line in lines)
    )


def difference(value: float | None, before: float | None) -> str:
    """Write the change of a figure; an empty text where one of the figures is missing.

    Examples
    --------
    >>> difference(0.95, 0.938), difference(0.9, 0.9004), difference(0.9, None)
    ('+.012', '±.000', '')
    """
    if value is None or before is None:
        return ""
    change = round(value - before, 3)
    sign = "±" if change == 0 else "+" if change > 0 else "−"
    return f"{sign}{abs(change):.3f}".replace("0.", ".", 1)


def row(stored: Stored) -> str:
    """Write one fit as one line; the change is that from the replaced result."""
    result, timing = stored.result, stored.timing
    image, pixel, rejects = result["image"], result["pixel"] or {}, result["false_rejects"]
    interval = "-".join(number(end) for end in image["auroc_interval"] or ())
    before = timing.get("previous", {}).get("auroc")
    counted = f"{rejects['count']}/{rejects['of']}"
    alone = ", ".join(f"{name} {number(one['auroc'])}" for name, one in result["components"].items())
    changed = f"{result['request']['variant']}: " if result["request"]["variant"] else ""
    return (
        f"{result['request']['set']:<{WIDTH}} {result['request']['seed']:>4} {number(image['auroc']):>5} "
        f"{interval:>11} {difference(image['auroc'], before):>7} "
        f"{number(pixel.get('auroc')):>5} {number(pixel.get('aupro')):>5} {counted:>8} "
        f"{rejects['at_most']:>7} {number(image['miss_rate']):>6} {result['steps']:>6} "
        f"{timing['fit_seconds']:>4.0f} s {timing['milliseconds_per_image']:>5.1f}  {changed}{alone}"
    )


def comparison(names: Sequence[str], means: dict[str, float | None], figures: dict[str, Content]) -> str:
    """Write the detector's mean over the seeds of each set beside the other detectors' figures, as text."""
    rows = [
        [name, number(mean), *(number(figures[name].get(one, {}).get("auroc")) for one in names)]
        for name, mean in means.items()
    ]
    return aligned(["set", "inspector", *names], rows)
