"""The training loop: seeded, resumable, and held to a plan of steps that a time budget fixes once."""

from __future__ import annotations

import io
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from inspector.errors import BudgetError, DivergedError, ResumeError
from inspector.storage import write_bytes
from models.crops import Batch, CropSampler
from models.losses import Objective
from models.networks import InspectionNetwork

WARMUP_STEPS = 50
TIMING_STEPS = 12  # the pace of a fit is read from these, the first two left out
MIN_STEPS = 30  # fewer teach nothing
EMA_DECAY = 0.99
CHECKPOINT_SECONDS = 20.0
CURVE_POINTS = 400

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainOptions:
    """What decides the outcome of a training, together with the pictures."""

    width: int = 16
    latent_dim: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    mmd_weight: float = 1.0
    push_weight: float = 0.5
    seed: int = 0
    threads: int = 0
    device: str = "cpu"


@dataclass
class Plan:
    """How many steps; fixed once, recorded, and kept in the checkpoint."""

    steps: int | None = None
    seconds: float | None = None
    grace_seconds: float = math.inf  # how far the machine may fall behind before a training ends early


@dataclass
class Trained:
    """The outcome of a training."""

    network: InspectionNetwork
    steps: int
    seconds: float
    curves: dict[str, list[tuple[int, float]]]


@dataclass
class _State:
    network: InspectionNetwork
    objective: Objective
    average: AveragedModel
    optimiser: torch.optim.AdamW
    step: int = 0
    planned: int | None = None
    seconds: float = 0.0
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def train(
    sampler: CropSampler,
    options: TrainOptions,
    plan: Plan,
    checkpoint: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Train on normal crops and on the same crops with synthetic defects.

    The batch and all draws of a step depend on the seed and the step alone, and the checkpoint holds
    everything else, so a run that was stopped and resumed ends with the weights of one that was not.

    Parameters
    ----------
    sampler : CropSampler
    options : TrainOptions
    plan : Plan
        A number of steps, or seconds from which it is worked out after a short timing.
    checkpoint : Path
        Written every 20 seconds and on interruption, atomically.
    resume : bool
        Go on from the checkpoint.
    progress : callable, optional
        Called as `progress("training", step, steps)` after each step.

    Returns
    -------
    Trained
        With the exponential moving average of the weights.

    Raises
    ------
    BudgetError, DivergedError, ResumeError
    """
    with _threads(options.threads):
        state = _start(options)
        if resume:
            _load(state, checkpoint)
        state.network.train()
        state.planned = state.planned or plan.steps
        with _deferred_interrupt() as asked_to_stop:
            _loop(state, sampler, options, plan, checkpoint, progress, asked_to_stop)
        _save(state, checkpoint)
    network = InspectionNetwork(options.width, options.latent_dim)
    network.load_state_dict(state.average.module.state_dict())
    return Trained(network.eval(), state.step, state.seconds, state.curves)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Let Ctrl-C wait for the end of the step, so that the checkpoint is of one; a second one does not."""
    asked = threading.Event()
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # a shell does so for jobs in the background
    if ignored or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _start(options: TrainOptions) -> _State:
    torch.manual_seed(options.seed)
    network = InspectionNetwork(options.width, options.latent_dim)
    network = network.to(options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = Objective(options.mmd_weight, options.push_weight).to(options.device)
    parameters = [*network.parameters(), *objective.parameters()]
    optimiser = torch.optim.AdamW(
        parameters, lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=options.weight_decay
    )
    average = AveragedModel(
        network,
        multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]  # torch leaves it so
        use_buffers=True,
    )
    return _State(network, objective, average, optimiser)


def _loop(
    state: _State,
    sampler: CropSampler,
    options: TrainOptions,
    plan: Plan,
    checkpoint: Path,
    progress: Progress | None,
    asked_to_stop: threading.Event,
) -> None:
    """Run the remaining steps; the next batch is drawn while this one is learned."""
    started = time.monotonic()
    before = state.seconds
    saved = started
    paces: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        upcoming: Future[Batch] = pool.submit(sampler.draw, state.step)
        while state.planned is None or state.step < state.planned:
            batch = upcoming.result()
            upcoming = pool.submit(sampler.draw, state.step + 1)
            tick = time.monotonic()
            _step(state, batch, options)
            now = time.monotonic()
            paces.append(now - tick)
            state.seconds = before + now - started
            if state.planned is None and len(paces) >= TIMING_STEPS:
                state.planned = _planned_steps(state, plan, paces)
            if progress is not None:
                progress("training", state.step, state.planned or 0)
            if asked_to_stop.is_set():
                if state.planned is not None:
                    _save(state, checkpoint)
                raise KeyboardInterrupt
            if plan.seconds is not None and now - started > plan.seconds + plan.grace_seconds:
                break  # the machine became slower than it was during the timing
            if state.planned is not None and now - saved > CHECKPOINT_SECONDS:
                _save(state, checkpoint)
                saved = now


def _planned_steps(state: _State, plan: Plan, paces: list[float]) -> int:
    """Return the steps that fit into the budget at the pace of the timing steps."""
    pace = sorted(paces[2:])[len(paces[2:]) // 2] * 1.03  # the drawing of batches is not wholly hidden
    assert plan.seconds is not None
    steps = state.step + int((plan.seconds - state.seconds) / pace)
    if steps < MIN_STEPS:
        raise BudgetError(
            f"the time budget leaves {max(plan.seconds, 0):.0f} s for training, enough for {max(steps, 0)} "
            f"steps at {pace:.2f} s each; at least {MIN_STEPS} are needed",
            hint=f"give at least {math.ceil(MIN_STEPS * pace - plan.seconds)} s more, or --steps",
        )
    return steps


def _learning_rate(options: TrainOptions, step: int, planned: int | None) -> float:
    """Linear warm-up over 50 steps, then a cosine to zero at the planned step."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    if planned is None:
        return options.learning_rate * warm
    done = min(1.0, max(0.0, (step - WARMUP_STEPS) / max(1, planned - WARMUP_STEPS)))
    return options.learning_rate * min(warm, 0.5 * (1 + math.cos(math.pi * done)))


def _step(state: _State, batch: Batch, options: TrainOptions) -> None:
    for group in state.optimiser.param_groups:
        group["lr"] = _learning_rate(options, state.step, state.planned)
    generator = torch.Generator().manual_seed(options.seed * 1_000_003 + state.step)
    on_device = Batch(*(part.to(options.device, memory_format=torch.channels_last) for part in batch))
    with torch.autocast(options.device.split(":")[0], torch.bfloat16):
        losses = state.objective(state.network, on_device, generator)
    state.optimiser.zero_grad(set_to_none=True)
    losses["total"].backward()
    parameters = [p for group in state.optimiser.param_groups for p in group["params"]]
    nn.utils.clip_grad_norm_(parameters, 5.0)
    state.optimiser.step()
    state.average.update_parameters(state.network)
    _record(state, {name: float(value.detach()) for name, value in losses.items()})
    state.step += 1


def _record(state: _State, losses: dict[str, float]) -> None:
    if not math.isfinite(losses["total"]):
        raise DivergedError(
            f"the loss became {losses['total']} at step {state.step}",
            hint="fit again with another --seed, or report this with the options used",
        )
    for name, value in losses.items():
        state.curves.setdefault(name, []).append((state.step, value))


def _save(state: _State, checkpoint: Path) -> None:
    content: dict[str, Any] = {
        "network": state.network.state_dict(),
        "objective": state.objective.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "step": state.step,
        "planned": state.planned,
        "seconds": state.seconds,
        "curves": state.curves,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(checkpoint, buffer.getvalue(), durable=False)


def _load(state: _State, checkpoint: Path) -> None:
    try:
        content = torch.load(checkpoint, weights_only=True, map_location="cpu")
    except FileNotFoundError as exc:
        raise ResumeError(f"there is no checkpoint at '{checkpoint}'", hint="fit without --resume") from exc
    state.network.load_state_dict(content["network"])
    state.objective.load_state_dict(content["objective"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.step = content["step"]
    state.planned = content["planned"]
    state.seconds = content["seconds"]
    state.curves = {
        name: [(int(step), float(value)) for step, value in points]
        for name, points in content["curves"].items()
    }
