"""A fit with the article's preset."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import inspector
import models
from inspector.bundle.folder import Bundle
from inspector.bundle.reference import heldout_latents
from inspector.demo.photograph import render
from inspector.errors import BudgetError, ResumeError, TooFewImagesError
from inspector.scoring.detector import Detector
from models.article.learner import ArticleLearner
from models.article.train import parameters
from tests.models.article.conftest import TINY

BACKGROUND = (10, 200, 30)
FAST: dict[str, Any] = {"preset": "article", "width": 8, "latent_dim": 4, "device": "cpu"}


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Use one thread and a short warm start, in the shared fit, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSPECTOR_THREADS", "1")
        patch.setattr("models.article.warm_start.STEPS", 5)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty cut-out parts of several sizes, with alpha, and one in grey."""
    target = tmp_path_factory.mktemp("parts")
    for seed in range(19):
        picture = render(seed, size=64 + seed).picture
        alpha = np.zeros(picture.shape[:2], np.uint8)
        alpha[8:-8, 8:-8] = 255
        cv2.imwrite(str(target / f"{seed}.png"), np.dstack([picture[..., ::-1], alpha]))
    cv2.imwrite(str(target / "grey.png"), render(99, size=70).picture[..., 0])
    return target


def fit(folder: Path, output: Path, **options: Any) -> Bundle:
    """Fit a tiny model into a folder of its own."""
    return Bundle.open(models.fit(folder, output=output, **{**FAST, "steps": 12, **options}))


@pytest.fixture(scope="module")
def bundle(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model that the tests only look at."""
    return fit(folder, tmp_path_factory.mktemp("made") / "bundle", background=BACKGROUND)


def test_the_bundle_is_one_like_others(bundle: Bundle, folder: Path) -> None:
    """It opens, verifies its golden images, scores with two components, and says how it was made."""
    manifest = bundle.manifest
    detector = Detector(bundle)
    detector.verify()
    inspection = detector.score(folder / "3.png")
    assert inspection.components is not None
    assert set(inspection.components) == {"reconstruction", "latent_mmd"}
    assert set(bundle.calibration.fused) == {"reconstruction", "latent_mmd"}
    assert manifest.architecture == "article-dcgan"
    assert (manifest.latent_dim, manifest.image.height, manifest.training.steps) == (4, 64, 12)
    assert manifest.training.options["width"] == 8
    assert manifest.training.parameters.keys() == {"encoder", "decoder"}
    assert manifest.parity.verdict_flips == 0
    assert len(bundle.calibration.heldout_scores) == manifest.training.heldout_images > 0


def test_figures_are_recorded(bundle: Bundle) -> None:
    """Manifest and report have the held-out error and the prior match."""
    figures = bundle.manifest.training.figures
    assert figures["error_reduction"] == pytest.approx(
        1 - figures["heldout_squared_error"] / figures["mean_picture_squared_error"]
    )
    assert 0 < figures["prior_match_p_value"] <= 1
    page = (bundle.path / "report.html").read_text(encoding="utf-8")
    assert "Prior match p value" in page


def test_heldout_latents_are_as_wide_as_the_prior(bundle: Bundle) -> None:
    """Their root mean square is 1; no picture here is a near-duplicate of another."""
    assert np.sqrt(np.mean(heldout_latents(bundle) ** 2)) == pytest.approx(1, rel=0.02)


def test_alpha_is_laid_over_the_chosen_background(bundle: Bundle, folder: Path) -> None:
    """Transparent pixels get this colour in training and in scoring; the bundle keeps it."""
    assert bundle.manifest.image.background == BACKGROUND
    _, prepared = Detector(bundle).prepare(folder / "0.png")
    assert prepared[2, 2].tolist() == [10, 200, 30]
    heldout = cv2.imread(str(bundle.path / "golden" / "probe-0.png"))
    assert heldout is not None
    assert heldout[2, 2].tolist() == [30, 200, 10]


def test_reconstructions_have_the_models_size(bundle: Bundle, folder: Path) -> None:
    """The detector reconstructs pictures at 64 px."""
    detector = inspector.open_model(bundle.path)
    _, prepared = detector.prepare(folder / "3.png")
    assert detector.reconstruct(prepared[None]).shape == (1, 64, 64, 3)


def test_a_vae_becomes_a_model(folder: Path, tmp_path: Path) -> None:
    """A VAE with the other decoder ends in a bundle whose golden images are verified."""
    options = {"regularizer": "kl", "decoder": "dcgan_mod", "latent_dim": 2, "steps": 3}
    made = fit(folder, tmp_path / "bundle", **options)
    Detector(made).verify()
    assert {"total", "reconstruction", "kl"} == set(made.manifest.training.losses)
    assert made.manifest.architecture == "article-dcgan_mod"
    assert made.manifest.training.options["decoder"] == "dcgan_mod"


def test_a_resumed_fit_equals_one_that_was_never_stopped(
    bundle: Bundle, folder: Path, tmp_path: Path
) -> None:
    """After Ctrl-C `resume` ends with the weights of an unbroken fit; another request is refused."""
    target = tmp_path / "resumed"

    def interrupt(stage: str, step: int, steps: int) -> None:
        if stage == "training" and step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(folder, target, background=BACKGROUND, progress=interrupt)
    assert not target.exists()
    with pytest.raises(ResumeError, match="latent_dim was 4, now 5"):
        fit(folder, target, background=BACKGROUND, latent_dim=5, resume=True)
    resumed = fit(folder, target, background=BACKGROUND, resume=True)
    for name in ("encoder.onnx", "decoder.onnx"):
        assert resumed.manifest.files[name].sha256 == bundle.manifest.files[name].sha256
    assert [path.name for path in tmp_path.iterdir() if "work" in path.name] == []


def test_the_adversary_is_counted() -> None:
    """The manifest names the parameters of each network, those of an adversary too."""
    network = ArticleLearner(replace(TINY, regularizer="gan")).network
    counts = parameters(network)
    assert counts.keys() == {"encoder", "decoder", "adversary"}
    assert sum(counts.values()) == sum(p.numel() for p in network.parameters())
    assert parameters(ArticleLearner(TINY).network).keys() == {"encoder", "decoder"}


def test_a_budget_too_short_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    """A second is not enough; neither bundle nor workspace is left."""
    with pytest.raises(BudgetError):
        fit(folder, tmp_path / "bundle", steps=None, time_budget_seconds=1.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", [["a.png"], ["a.png", "b.png"]], ids=["one", "two alike"])
def test_too_few_pictures_are_refused(names: list[str], tmp_path: Path) -> None:
    """One picture, or two exact copies, are not enough; nothing is written."""
    source = tmp_path / "source"
    source.mkdir()
    for name in names:
        cv2.imwrite(str(source / name), render(0, size=64).picture)
    with pytest.raises(TooFewImagesError, match=r"1 picture in|1 usable"):
        fit(source, tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_folder_of_near_duplicates_becomes_a_model(tmp_path: Path) -> None:
    """A fit of pictures that hardly vary ends with finite figures."""
    source = tmp_path / "source"
    source.mkdir()
    for i in range(10):
        picture = np.full((64, 64, 3), 120, np.uint8)
        picture[i, i] = 121
        cv2.imwrite(str(source / f"{i}.png"), picture)
    figures = fit(source, tmp_path / "bundle", steps=3).manifest.training.figures
    assert all(np.isfinite(value) for value in figures.values())
