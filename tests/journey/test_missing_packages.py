"""If a package of an extra is missing, one line names it and the hint is the command that installs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journey.program import FIT, Fitted, complaint, listing, not_installed, rows, run

EXTRA = ("torch", "onnx", "sklearn", "scipy", "jinja2")


@pytest.mark.parametrize("package", EXTRA)
def test_fit(package: str, fitted: Fitted, store: Path) -> None:
    """Exit code 7 before any work."""
    with not_installed(package):
        ended = run("fit", fitted.normal, *FIT, store=store, code=7)
    message, hint = complaint(ended)
    assert "inspector fit" in message
    assert package.replace("sklearn", "scikit-learn") in message
    assert "wae-inspector[train]" in hint
    assert "training" not in ended.stderr
    assert not store.exists() or not listing(store)


@pytest.mark.parametrize("verb", ["evaluate", "calibrate"])
def test_verbs_that_need_scikit_learn(verb: str, fitted: Fitted) -> None:
    """Evaluate and calibrate say that they need scikit-learn."""
    with not_installed("sklearn"):
        pictures = fitted.test if verb == "evaluate" else fitted.test / "good"
        ended = run(verb, pictures, store=fitted.store, code=7)
    assert "scikit-learn" in complaint(ended)[0]


def test_tensorboard(fitted: Fitted, store: Path, tmp_path: Path) -> None:
    """`fit --tensorboard` names its own extra before any work."""
    words = ("fit", fitted.normal, *FIT, "--tensorboard", tmp_path / "runs")
    with not_installed("tensorboard"):
        message, hint = complaint(run(*words, store=store, code=7))
    assert message == "'inspector fit --tensorboard' needs tensorboard, which is not installed"
    assert hint == "pip install 'wae-inspector[tensorboard]'"
    assert not listing(tmp_path)


def test_score_needs_no_extra(fitted: Fitted) -> None:
    """Scoring works without every package of the extra."""
    with not_installed(*EXTRA):
        ended = run("score", fitted.broken_part, store=fitted.store, code=1)
    assert rows(ended)[0]["verdict"] == "fail"
