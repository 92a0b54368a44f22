"""The section of the page about one effort: tables of its results, and how to reproduce them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from calibration.report.charts import MarkRow, mark_chart
from models.inspection.options import InspectionOptions
from tests.benchmarks import headline
from tests.benchmarks.ablation import VARIANTS
from tests.benchmarks.baseline_figures import names_of
from tests.benchmarks.headline import spread_in_words
from tests.benchmarks.result import Content, Stored
from tests.benchmarks.summary import (
    SetSummary,
    component_auroc,
    component_names,
    image_auroc,
    mean,
    mean_of_all,
    middle,
    missed,
    pixel_figure,
)
from tests.benchmarks.table import difference, markdown, number

COMMIT_LETTERS = 7
DETECTOR = "inspector (line: range over seeds)"
BEST = "Image AUROC. The best detector of each set is in bold."
COMPONENTS = "Image AUROC of each component alone."
ABLATION = """Each row changes one or two things and leaves the rest at the defaults. The figures are
the image AUROC of each set, its mean, the mean share of defects missed, the mean image AUROC of two
components alone, and the mean AUPRO, all as means over seeds. The difference from the defaults stands
behind each figure."""
REMOVED = "These rows change parts that the product no longer contains: {}."
ABLATION_COMPONENTS = ("latent_mmd", "head")
SHOWN_PACKAGES = ("torch", "onnxruntime", "numpy")


def section(effort: str, sets: Sequence[SetSummary], figures: dict[str, Content], chart_path: str) -> str:
    """Return the Markdown of one effort.

    Parameters
    ----------
    effort : str
        A preset, `budget-…` or `steps-…`.
    sets : sequence of SetSummary
        The fits with this effort.
    figures : dict
        Figures of the baselines, by set and name; empty where they were not measured.
    chart_path : str
        Path of the chart, relative to the page.
    """
    alt = f"Image AUROC of each set: inspector, {', '.join(names_of(figures.values()))}"
    blocks = [
        f"## {effort}: {meaning(effort)}\n\n![{alt}]({chart_path})\n",
        markdown(headline.HEADER, headline.rows(sets, _strong)),
        f"{headline.in_words(sets)}\n",
        f"### Compared with the baselines\n\n{BEST}\n\n{_comparison(sets, figures)}",
        _pixels(sets, figures),
        f"### Components\n\n{COMPONENTS}\n\n{_components(sets)}",
        f"### Pictures and time\n\n{_time(sets)}",
        f"### Reproduce\n\n{_origin(effort, sets)}",
    ]
    return "\n".join(block for block in blocks if block)


def changes(effort: str, defaults: Sequence[SetSummary], changed: dict[str, list[SetSummary]]) -> str:
    """Return the Markdown of the ablation: figures of each variant, and differences from the defaults.

    Variants that `tests.benchmarks.ablation` no longer measures are marked as history.
    """
    names = sorted({one.name for summaries in changed.values() for one in summaries})
    before = _ablation_row(defaults, names)
    rows = [["defaults", *map(number, before)]]
    for variant, summaries in changed.items():
        found = zip(_ablation_row(summaries, names), before, strict=True)
        rows.append(
            [variant, *(f"{number(value)} {difference(value, old)}".rstrip() for value, old in found)]
        )
    header = ["", *names, "mean", "missed", *(f"{name} alone" for name in ABLATION_COMPONENTS), "AUPRO"]
    title = f"### Ablation, {effort}"
    fits = [stored for summaries in changed.values() for one in summaries for stored in one.fits]
    return (
        f"{title}\n\n{ABLATION}\n\n{markdown(header, rows)}\n{_removed(changed)}"
        f"```\n{_ablation_command(effort, names, fits)}\n```\n\n- Code: {_several(map(_commit, fits))}\n"
    )


def _removed(changed: dict[str, list[SetSummary]]) -> str:
    """Name the variants whose subject is no longer part of the product."""
    removed = [name for name in changed if name not in VARIANTS]
    return f"{REMOVED.format('; '.join(f'*{name}*' for name in removed))}\n\n" if removed else ""


def _ablation_row(summaries: Sequence[SetSummary], names: Sequence[str]) -> list[float | None]:
    """Return the image AUROC of each set and the means over the sets; None where a set is missing."""
    by_name = {one.name: one for one in summaries}
    sets = [by_name.get(name) for name in names]

    def of_each(figure: Callable[[Content], float | None]) -> list[float | None]:
        return [middle(one.spread(figure)) if one else None for one in sets]

    aurocs = of_each(image_auroc)
    alone = (component_auroc(name) for name in ABLATION_COMPONENTS)
    means = (mean_of_all(of_each(figure)) for figure in (missed, *alone, pixel_figure("aupro")))
    return [*aurocs, mean_of_all(aurocs), *means]


def chart(effort: str, sets: Sequence[SetSummary], figures: dict[str, Content]) -> str:
    """Draw the image AUROC of each set as an SVG document: the best set on top, the mean below."""
    names = names_of(figures.values())
    rows = [_row(one, figures[one.name], names) for one in sets]
    rows.sort(key=lambda row: -(_mean(row) or 0.0))
    return mark_chart(
        rows,
        _mean_row_of(rows) if rows[1:] else None,
        description=f"Image AUROC of each set, {effort}",
        series=(DETECTOR, *names),
        axis="image AUROC; values of 0.5 (guessing) and less are drawn at the left end",
        lower=0.5,
        upper=1.0,
    ).document()


def _row(one: SetSummary, figures: Content, names: Sequence[str]) -> MarkRow:
    """Return the detector and the named others on one set."""
    spread = one.spread(image_auroc)
    span = None if spread is None else (spread.lowest, spread.mean, spread.highest)
    return MarkRow(one.name, span, tuple(figures.get(name, {}).get("auroc") for name in names))


def _mean_row_of(rows: Sequence[MarkRow]) -> MarkRow:
    """Return the means over sets, of the detector and of each baseline that was measured on all of them."""
    over = mean_of_all(map(_mean, rows))
    baselines = tuple(mean_of_all(row.others[i] for row in rows) for i in range(len(rows[0].others)))
    return MarkRow("mean", None if over is None else (over, over, over), baselines)


def _mean(row: MarkRow) -> float | None:
    return None if row.span is None else row.span[1]


def meaning(effort: str) -> str:
    """Say in words how much training an effort is."""
    if effort in InspectionOptions.PRESET_SECONDS:
        return f"{InspectionOptions.PRESET_SECONDS[effort] / 60:g} minutes for each fit"
    kind, _, amount = effort.partition("-")
    return f"a budget of {amount} for each fit" if kind == "budget" else f"{amount} steps in each fit"


def _comparison(sets: Sequence[SetSummary], figures: dict[str, Content]) -> str:
    names = names_of(figures.values())
    lines = [_row(one, figures[one.name], names) for one in sets]
    rows = []
    for one in (*lines, _mean_row_of(lines)):
        values = [_mean(one), *one.others]
        best = max((value for value in values if value is not None), default=None)
        shown = (_strong(number(value)) if value == best is not None else number(value) for value in values)
        rows.append([one.name, *shown])
    return markdown(["set", "inspector", *names], rows)


def _pixels(sets: Sequence[SetSummary], figures: dict[str, Content]) -> str:
    """Compare pixel AUROC and AUPRO with the baselines; an empty text where no set has masks."""
    rows, names = [], names_of(figures.values())
    for one in sets:
        own = [middle(one.spread(pixel_figure(name))) for name in ("auroc", "aupro")]
        if own[0] is None:
            continue
        beside = [figures[one.name].get(name, {}).get("pixel") or {} for name in names]
        cells = [own, *([pixel.get("auroc"), pixel.get("aupro")] for pixel in beside)]
        rows.append([one.name, *(" / ".join(map(number, cell)) if any(cell) else "-" for cell in cells)])
    return (
        "Pixel AUROC / AUPRO of the sets with masks.\n\n" + markdown(["set", "inspector", *names], rows)
        if rows
        else ""
    )


def _components(sets: Sequence[SetSummary]) -> str:
    names = component_names(sets)
    rows = [
        [one.name, *(spread_in_words(one.spread(component_auroc(name)), number) for name in names)]
        for one in sets
    ]
    rows.append(_mean_row(mean(middle(one.spread(component_auroc(name))) for one in sets) for name in names))
    return markdown(["set", *names], rows)


def _time(sets: Sequence[SetSummary]) -> str:
    rows = []
    for one in sets:
        seconds, each = one.duration("fit_seconds"), one.duration("milliseconds_per_image")
        cells = [
            _several(str(stored.result["training_images"]) for stored in one.fits),
            _several(_tested(stored.result) for stored in one.fits),
            _several(f"{stored.result['steps']:,}" for stored in one.fits),
            _several(str(stored.timing.get("threads", "-")) for stored in one.fits),
            "-" if seconds is None else f"{seconds / 60:.1f} min",
            "-" if each is None else f"{each:.1f}",
        ]
        rows.append([one.name, *cells])
    return markdown(
        ["set", "training pictures", "test: good + defective", "steps", "threads", "fit", "ms per picture"],
        rows,
    )


def _tested(result: Content) -> str:
    return f"{result['good']} + {result['images'] - result['good']}"


def _origin(effort: str, sets: Sequence[SetSummary]) -> str:
    fits = [stored for one in sets for stored in one.fits]
    return (
        f"```\n{_command(effort, sets)}\n```\n\n"
        f"- Code: {_several(map(_commit, fits))}\n"
        f"- Machine: {_several(map(_machine, fits))}\n"
        f"- Packages: {_several(map(_packages, fits))}\n"
    )


def _ablation_command(effort: str, names: Sequence[str], fits: Sequence[Stored]) -> str:
    kind, _, amount = effort.partition("-")
    choice = f"--preset {effort}" if effort in InspectionOptions.PRESET_SECONDS else f"--{kind} {amount}"
    sets, seeds = " ".join(names), " ".join(map(str, _seeds(fits)))
    return f"python -m tests.benchmarks.ablation DATA --sets {sets} {choice} --seeds {seeds}"


def _seeds(fits: Iterable[Stored]) -> list[int]:
    return sorted({int(stored.result["request"]["seed"]) for stored in fits})


def _command(effort: str, sets: Sequence[SetSummary]) -> str:
    seeds = _seeds(stored for one in sets for stored in one.fits)
    kind, _, amount = effort.partition("-")
    choice = f"PRESET={effort}" if effort in InspectionOptions.PRESET_SECONDS else f"{kind.upper()}={amount}"
    names = " ".join(one.name for one in sets)
    return f'make bench DATA=FOLDER {choice} SEEDS="{" ".join(map(str, seeds))}" SETS="{names}"'


def _commit(stored: Stored) -> str:
    commit = stored.result["commit"]
    known = "no commit" if commit["id"] is None else f"`{commit['id'][:COMMIT_LETTERS]}`"
    return f"{known} with changes" if commit["dirty"] else known


def _machine(stored: Stored) -> str:
    machine = stored.timing.get("machine")
    if machine is None:
        return "unknown"
    device = "" if stored.result["device"] == "cpu" else f", training on {stored.result['device']}"
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}{device}"
    )


def _packages(stored: Stored) -> str:
    return ", ".join(f"{name} {stored.result['packages'][name]}" for name in SHOWN_PACKAGES)


def _mean_row(values: Iterable[float | None]) -> list[str]:
    return [_strong("mean"), *("-" if value is None else _strong(number(value)) for value in values)]


def _strong(cell: str) -> str:
    return f"**{cell}**"


def _several(words: Iterable[str]) -> str:
    """Join the different words, each once, in their order."""
    return ", ".join(dict.fromkeys(words))
