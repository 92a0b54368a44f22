"""`inspector sweep`: find how many latent dimensions and which width the article's network needs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from inspector.bundle.atomic import TEMPORARY, storage_errors, write_bytes
from inspector.commands.options import FormatOption, RecursiveAnywayOption, good_images, seconds
from inspector.commands.output import pairs, print_result
from inspector.commands.progress import Progress, shown_progress
from inspector.errors import UsageError
from inspector.imaging.files import printable

EXAMPLE = """
inspector sweep characters/
inspector sweep characters/ --latent-dim 2,8,64 --width 64,256 --lambda 10,100 --budget-each 5m
inspector sweep tiles/train/good --test tiles/test --output tiles-sweep
"""

# Names that a sweep leaves in its folder: models, work in progress, and files of a fit that was killed.
_OURS = re.compile(rf"\.?d\d+-w\d+-l[\d.e+-]+(\.work)?|{re.escape(TEMPORARY)}[0-9a-f]+")
RESULTS, CHART = "sweep.json", "sweep.svg"
MOST_FITS = 200

Combination = tuple[float, float, float]  # latent dimensions, width, weight of the regularizer
Trial = Any  # `calibration.sweep.Trial`, which only the extras can import


@dataclass(frozen=True)
class _Request:
    """The request that all fits of a sweep share."""

    normal_dir: Path
    test: Path | None
    time_budget_seconds: float | None
    steps: int | None
    seed: int
    device: str
    recursive_anyway: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, by which a later run recognises the same sweep."""
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
    normal_dir: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder with pictures to learn from; folders below are searched."),
    ],
    latent_dim: Annotated[
        str, typer.Option(metavar="N,N", help="Latent dimensions to try, each from 2.")
    ] = "2,8,32,64",
    width: Annotated[
        str, typer.Option(metavar="N,N", help="Channels of the deepest layer to try, multiples of 8.")
    ] = "64,256",
    lambda_: Annotated[
        str,
        typer.Option("--lambda", metavar="NUMBER,NUMBER", help="Weights of the regularizer to try, from 0."),
    ] = "100",
    budget_each: Annotated[
        str, typer.Option(metavar="TIME", help="Time for each fit, such as 90s or 5m.")
    ] = "2m",
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Train each fit exactly this many steps, whatever time they take.  "
            "[default: as many as --budget-each allows]",
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Labelled pictures: good/ and one folder for each kind of defect; their AUROC decides.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder for models, results and chart; finished fits in it are kept."
        ),
    ] = Path("sweep"),
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of every fit.")] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Device to train on; auto takes CUDA where torch finds it."),
    ] = "auto",
    recursive_anyway: RecursiveAnywayOption = False,
    format_: FormatOption = None,
) -> None:
    """Fit the article's preset with each combination of options, compare the fits, and recommend one.

    Finished fits are kept in the output folder; after Ctrl-C the same command continues with the others.
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
    request = _Request(normal_dir, test, budget, steps, seed, device, recursive_anyway)
    trials = _fit_all(request, grid, output)
    from inspector import extras

    comparison = extras.sweep()
    chosen, reason = comparison.recommend(trials)
    doubts = comparison.doubts(trials, request.seed)
    write_bytes(output / CHART, comparison.chart(trials).encode())
    rows = [trial.as_dict() for trial in trials]
    advice = {
        "recommended": f"--latent-dim {chosen.latent_dim} --width {chosen.width} "
        f"--lambda {chosen.regularizer_weight:g}",
        "why": reason,
        "model": printable(chosen.bundle),
        "chart": printable(output / CHART),
    }
    print_result(
        {"trials": rows, "recommended": chosen.as_dict(), "reason": reason, "doubts": doubts},
        f"{table(trials)}\n\n{pairs(advice)}",
        format_,
        remarks=doubts,
    )


def _fit_all(request: _Request, grid: Sequence[Combination], output: Path) -> list[Trial]:
    """Run the fits that are missing, and return the outcomes of all in the order of the grid."""
    from inspector import extras

    known = _check(request, grid, output)
    if not known:
        _keep(request, output, known)  # from here on the folder belongs to this request
    with shown_progress() as progress:
        for number, combination in enumerate(grid, 1):
            name = _name(combination)
            if name not in known:
                path = output / name
                if not path.exists():
                    _fit(request, combination, path, _numbered(progress, f"{number}/{len(grid)} {name}"))
                known[name] = _outcome(path, request.test)
                _keep(request, output, known)
    trial = extras.sweep().Trial
    return [
        trial(int(dims), int(width), float(weight), str(output / name), **known[name])
        for dims, width, weight in grid
        for name in [_name((dims, width, weight))]
    ]


def _check(request: _Request, grid: Sequence[Combination], output: Path) -> dict[str, dict[str, Any]]:
    """Refuse a bad request before the first fit; return the outcomes of an earlier run of it."""
    from inspector import extras

    good_images(request.normal_dir, anyway=request.recursive_anyway)
    models = extras.models()
    for latent_dim, width, weight in grid:
        models.options.choose(
            preset="article",
            latent_dim=latent_dim,
            width=width,
            regularizer_weight=weight,
            device=request.device,
        )
    extras.sweep()  # names a missing package before the first fit, not after the last
    known = _known(request, output)
    if request.test is not None:
        extras.labelled().labelled_folder(request.test)
    with storage_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    return known


def _fit(request: _Request, combination: Combination, path: Path, progress: Progress) -> None:
    from inspector import extras

    latent_dim, width, weight = combination
    extras.models().fit(
        request.normal_dir,
        name=path.name,
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
        recursive_anyway=request.recursive_anyway,
        progress=progress,
    )


def _name(combination: Combination) -> str:
    latent_dim, width, weight = combination
    return f"d{latent_dim}-w{width}-l{weight:g}"


def _numbered(progress: Progress, fit: str) -> Progress:
    """Return a progress function that names the fit before each stage."""
    return lambda stage, done, total: progress(f"{fit}: {stage}", done, total)


def _outcome(path: Path, test: Path | None) -> dict[str, Any]:
    """Read the figures of a fit, and measure it if there are labelled pictures."""
    import inspector
    from inspector import extras

    detector = inspector.open_model(path)
    training = detector.manifest.training
    outcome: dict[str, Any] = {"figures": training.figures, "errors": training.heldout_errors, "auroc": None}
    if test is None:
        return outcome
    measured = extras.evaluation().measure(detector, test)
    scores = {
        name: [score.score if isfinite(score.score) else None for score in each]  # JSON has no infinity
        for name, each in (("good_scores", measured.good), ("defect_scores", measured.defective))
    }
    return {**outcome, **scores, "auroc": measured.figures()["image"]["auroc"]}


def _known(request: _Request, output: Path) -> dict[str, dict[str, Any]]:
    """Read the outcomes of an earlier run of the same request."""
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
                f"--output '{printable(output)}' holds files that are not of a sweep",
                hint="name a folder that is empty or does not exist",
            )
    return {}


def _keep(request: _Request, output: Path, outcomes: dict[str, dict[str, Any]]) -> None:
    content = json.dumps({"request": request.as_dict(), "outcomes": outcomes}, indent=1)
    write_bytes(output / RESULTS, content.encode())


def table(trials: Sequence[Trial]) -> str:
    """Lay out the trials for people."""
    lines = ["dims  width   lambda  held-out error  below mean  prior p  sharpness   AUROC"]
    for trial in trials:
        figures = trial.figures
        p_value = figures.get("prior_match_p_value")
        lines.append(
            f"{trial.latent_dim:4d}  {trial.width:5d}  {trial.regularizer_weight:7g}  {trial.error:14.1f}  "
            f"{figures['error_reduction']:10.0%}  {'-' if p_value is None else format(p_value, '.3f'):>7}  "
            f"{figures['copy_sharpness'] / max(figures['picture_sharpness'], 1e-12):9.0%}  "
            f"{'-' if trial.auroc is None else format(trial.auroc, '.3f'):>6}"
        )
    return "\n".join(lines)
