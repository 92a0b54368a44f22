"""`inspector sweep`: how many latent dimensions are right, and how wide the network must be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from inspector.bundle.atomic import TEMPORARY, storage_errors, write_bytes
from inspector.commands.fit import seconds
from inspector.commands.output import FigureFormat, default_figure_format
from inspector.commands.progress import shown_progress
from inspector.errors import UsageError
from inspector.imaging.files import list_images, printable

EXAMPLE = """
inspector sweep characters/
inspector sweep characters/ --latent-dim 2,8,64 --width 64,256 --lambda 10,100 --budget-each 5m
inspector sweep tiles/train/good --test tiles/test --output tiles-sweep
"""

# Models, and what a killed fit leaves.
_OURS = re.compile(rf"\.?d\d+-w\d+-l[\d.e+-]+(\.work)?|{re.escape(TEMPORARY)}[0-9a-f]+")
RESULTS, CHART = "sweep.json", "sweep.svg"
MOST_FITS = 200


class Trial(Protocol):
    """One fit and what was measured of it: `calibration.sweep.Trial`, behind the door to the workshop."""

    @property
    def latent_dim(self) -> int:
        """Numbers in a code."""

    @property
    def width(self) -> int:
        """Channels of the deepest layer."""

    @property
    def penalty_weight(self) -> float:
        """Weight of the penalty."""

    @property
    def figures(self) -> dict[str, float]:
        """As in the manifest's training summary."""

    @property
    def auroc(self) -> float | None:
        """On labelled pictures, where there were some."""

    @property
    def error(self) -> float:
        """Squared error of held-out copies."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""


@dataclass(frozen=True)
class _Request:
    """What every fit of a sweep has in common."""

    normal_dir: Path
    test: Path | None
    time_budget_seconds: float | None
    steps: int | None
    seed: int
    device: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, by which a sweep knows that it is the same."""
        return {
            "normal_dir": str(self.normal_dir.resolve()),
            "test": None if self.test is None else str(self.test.resolve()),
            "time_budget_seconds": self.time_budget_seconds,
            "steps": self.steps,
            "seed": self.seed,
            "device": self.device,
        }


def numbers(option: str, text: str, least: float, whole: bool = True) -> list[float]:
    """Read a list of different numbers.

    Examples
    --------
    >>> numbers("--width", "64,256", 8)
    [64, 256]
    """
    try:
        found: list[float] = [int(part) if whole else float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or len(set(found)) < len(found) or not all(least <= number < 1e6 for number in found):
        kind = "whole numbers" if whole else "numbers"
        raise UsageError(
            f"{option} is {text!r}; allowed are different {kind} from {least:g} with commas between them",
            hint=f"for example {option} 2,8,64",
        )
    return found


def sweep(
    normal_dir: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with pictures.")],
    latent_dim: Annotated[str, typer.Option(metavar="N,N", help="Latent dimensions to try.")] = "2,8,32,64",
    width: Annotated[str, typer.Option(metavar="N,N", help="Widths to try.")] = "64,256",
    lambda_: Annotated[
        str, typer.Option("--lambda", metavar="NUMBER,NUMBER", help="Weights of the penalty to try.")
    ] = "100",
    budget_each: Annotated[
        str, typer.Option(metavar="TIME", help="What each fit may take, such as 90s or 5m.")
    ] = "2m",
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Train each exactly so many steps instead.")
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Labelled pictures, good/ and a folder for each kind of defect."),
    ] = None,
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Takes models, table and chart; goes on with what is there.")
    ] = Path("sweep"),
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of every fit.")] = 0,
    device: Annotated[str, typer.Option(help="Where to train: auto, cpu or cuda.")] = "auto",
    format_: Annotated[
        FigureFormat | None,
        typer.Option("--format", help="How to print; table on a terminal, json when piped."),
    ] = None,
) -> None:
    """Fit the article's preset with each combination, compare, and recommend one.

    What was fitted is kept in the output folder; after Ctrl-C the same command goes on from there.
    """
    grid = list(
        product(
            numbers("--latent-dim", latent_dim, 2),
            numbers("--width", width, 8),
            numbers("--lambda", lambda_, 0, whole=False),
        )
    )
    if len(grid) > MOST_FITS:
        raise UsageError(
            f"{len(grid)} combinations; at most {MOST_FITS} are fitted", hint="shorten the lists"
        )
    budget = None if steps else seconds(budget_each, "--budget-each")
    request = _Request(normal_dir, test, budget, steps, seed, device)
    trials = _fit_all(request, grid, output)
    from inspector import extras

    comparison = extras.sweep()
    chosen, reason = comparison.recommend(trials)
    write_bytes(output / CHART, comparison.chart(trials).encode())
    if (format_ or default_figure_format()) is FigureFormat.JSON:
        rows = [trial.as_dict() for trial in trials]
        typer.echo(json.dumps({"trials": rows, "recommended": chosen.as_dict(), "reason": reason}))
        return
    typer.echo(table(trials))
    typer.echo(
        f"\nrecommended: --latent-dim {chosen.latent_dim} --width {chosen.width} "
        f"--lambda {chosen.penalty_weight:g}\nwhy:         {reason}\nchart:       {printable(output / CHART)}"
    )


def _fit_all(request: _Request, grid: Sequence[tuple[float, float, float]], output: Path) -> list[Trial]:
    """Fit what is not there yet, and return the outcome of all, in the order of the grid."""
    from inspector import extras

    models = extras.models()
    for latent_dim, width, weight in grid:  # all of them are allowed, or none is fitted
        models.options.choose(
            preset="article",
            latent_dim=latent_dim,
            width=width,
            regularizer_weight=weight,
            device=request.device,
        )
    trial_of: Callable[..., Trial] = extras.sweep().Trial
    known = _known(request, output)
    if request.test is not None:  # better refused now than after the first fit
        extras.labelled().labelled_pictures(request.test)
    list_images(request.normal_dir)  # refuses a folder that is not there
    with storage_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    if not known:
        _keep(request, output, known)  # what is fitted from here on is of this request
    with shown_progress() as progress:
        for number, (latent_dim, width, weight) in enumerate(grid, 1):
            name = f"d{latent_dim}-w{width}-l{weight:g}"
            if name in known:
                continue

            def report(stage: str, done: int, total: int, fit: str = f"{number}/{len(grid)} {name}") -> None:
                progress(f"{fit}: {stage}", done, total)

            path = output / name
            if not path.exists():
                models.fit(
                    request.normal_dir,
                    name=name,
                    output=path,
                    preset="article",
                    latent_dim=latent_dim,
                    width=width,
                    regularizer_weight=weight,
                    time_budget_seconds=request.time_budget_seconds,
                    steps=request.steps,
                    seed=request.seed,
                    device=request.device,
                    resume=True,
                    progress=report,
                )
            known[name] = _outcome(path, request.test)
            _keep(request, output, known)
    return [
        trial_of(int(d), int(w), float(weight), str(output / name), **known[name])
        for d, w, weight in grid
        for name in [f"d{d}-w{w}-l{weight:g}"]
    ]


def _outcome(path: Path, test: Path | None) -> dict[str, Any]:
    """Read what was measured of a model, and measure detection where there are labelled pictures."""
    import inspector
    from inspector import extras

    detector = inspector.open_model(path)
    figures = detector.manifest.training.figures
    if test is None:
        return {"figures": figures, "auroc": None}
    measured = extras.evaluation().measure(detector, test)
    return {"figures": figures, "auroc": measured.figures()["image"]["auroc"]}


def _known(request: _Request, output: Path) -> dict[str, dict[str, Any]]:
    """Read the outcomes that are there already."""
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output is '{printable(output)}', which is a file", hint="name a folder")
    record = output / RESULTS
    with storage_errors(output):
        if record.exists():
            content = json.loads(record.read_text(encoding="utf-8"))
            asked = request.as_dict()
            changed = [key for key in asked if content["request"].get(key) != asked[key]]
            begun = content["outcomes"] or any(_OURS.fullmatch(path.name) for path in output.iterdir())
            if changed and begun:
                raise UsageError(
                    f"--output '{printable(output)}' holds a sweep of another request: "
                    f"{', '.join(changed)} differs",
                    hint="name another --output, or repeat that request",
                )
            return dict(content["outcomes"])
        if output.is_dir() and not all(_OURS.fullmatch(path.name) for path in output.iterdir()):
            raise UsageError(
                f"--output '{printable(output)}' holds something that is no sweep",
                hint="name a folder that is empty or does not exist",
            )
    return {}


def _keep(request: _Request, output: Path, outcomes: dict[str, dict[str, Any]]) -> None:
    content = json.dumps({"request": request.as_dict(), "outcomes": outcomes}, indent=1)
    write_bytes(output / RESULTS, content.encode())


def table(trials: Sequence[Trial]) -> str:
    """Lay trials out for people."""
    lines = ["dims  width   lambda  held-out error  below mean  prior p  sharpness   AUROC"]
    for trial in trials:
        figures = trial.figures
        p_value = figures.get("prior_match_p_value")
        lines.append(
            f"{trial.latent_dim:4d}  {trial.width:5d}  {trial.penalty_weight:7g}  {trial.error:14.1f}  "
            f"{figures['error_reduction']:10.0%}  {'-' if p_value is None else format(p_value, '.3f'):>7}  "
            f"{figures['copy_sharpness'] / max(figures['picture_sharpness'], 1e-12):9.0%}  "
            f"{'-' if trial.auroc is None else format(trial.auroc, '.3f'):>6}"
        )
    return "\n".join(lines)
