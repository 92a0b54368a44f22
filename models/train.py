"""The training loop: seeded, resumable, and held to a plan of steps that a time budget fixes once."""

from __future__ import annotations

import copy
import io
import math
import os
import signal
import statistics
import threading
import time
from collections import deque
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
from models.prior import PRIOR_WIDTH, start_from_prior

WARMUP_STEPS = 50
TIMING_STEPS = 8  # the pace with a number of threads is read from these, the first two left out
WORTH = 1.3  # more threads must be so much faster: where cores are shared, they wait for each other
SLOWED = 2.0  # when steps take so much longer than planned, one thread goes on
RECENT_STEPS = 12
MIN_STEPS = 30  # fewer teach nothing
EMA_DECAY = 0.99
CHECKPOINT_SECONDS = 20.0
CURVE_POINTS = 400

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainOptions:
    """What decides the outcome of a training, together with the pictures."""

    width: int = 32
    latent_dim: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    mmd_weight: float = 1.0
    push_weight: float = 0.5
    prior: bool = True
    trunk_rate: float = 0.0
    seed: int = 0
    threads: int = 0
    device: str = "cpu"

    @property
    def from_prior(self) -> bool:
        """Whether the trunk is the prior's; a trunk of another width cannot be."""
        return self.prior and self.width == PRIOR_WIDTH


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
    threads: int
    one_thread_from: int | None  # the step from which one thread went on, because others took the cores


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
    threads: int = 1
    one_thread_from: int | None = None


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
        A number of steps, or seconds from which it is worked out after a short timing.  The timing also
        chooses the number of threads, unless the options fix it, and steps that become twice as slow
        later go on with one thread: threads that share their cores with other programs wait for each other.
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
    with _kept_threads():
        state = _start(options)
        state.threads = options.threads or os.cpu_count() or 1
        torch.set_num_threads(state.threads)
        if resume:
            _load(state, checkpoint)
        state.network.train()
        if options.from_prior and options.trunk_rate == 0:
            state.network.encoder.trunk.eval().requires_grad_(requires_grad=False)
        state.planned = state.planned or plan.steps
        with _deferred_interrupt() as asked_to_stop:
            _loop(state, sampler, options, plan, checkpoint, progress, asked_to_stop)
        _save(state, checkpoint)
    network = InspectionNetwork(options.width, options.latent_dim)
    network.load_state_dict(state.average.module.state_dict())
    return Trained(
        network.eval(), state.step, state.seconds, state.curves, state.threads, state.one_thread_from
    )


@contextmanager
def _kept_threads() -> Iterator[None]:
    before = torch.get_num_threads()
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
    if options.from_prior:
        start_from_prior(network.encoder.trunk)
    network = network.to(options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch documents it
    objective = Objective(options.mmd_weight, options.push_weight).to(options.device)
    trunk = list(network.encoder.trunk.parameters())
    known = {id(parameter) for parameter in trunk}
    new = [p for p in (*network.parameters(), *objective.parameters()) if id(p) not in known]
    groups = [
        {"params": trunk, "rate": options.trunk_rate if options.from_prior else 1.0},
        {"params": new, "rate": 1.0},
    ]
    optimiser = torch.optim.AdamW(
        groups, lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=options.weight_decay
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
    paces: dict[int, float] = {}
    if plan.seconds is not None:
        paces = _timing(state, sampler, options)
        state.threads = _worthwhile(paces)
        torch.set_num_threads(state.threads)
        state.seconds = before + time.monotonic() - started
        state.planned = state.planned or _planned_steps(state, plan, paces[state.threads])
    assert state.planned is not None
    recent: deque[float] = deque(maxlen=RECENT_STEPS)
    with ThreadPoolExecutor(1) as pool:
        upcoming: Future[Batch] = pool.submit(sampler.draw, state.step)
        while state.step < state.planned:
            batch = upcoming.result()
            upcoming = pool.submit(sampler.draw, state.step + 1)
            tick = time.monotonic()
            _step(state, batch, options)
            now = time.monotonic()
            recent.append(now - tick)
            state.seconds = before + now - started
            if _slowed(state, recent, paces):
                state.one_thread_from = state.step
                torch.set_num_threads(1)
                left = plan.seconds - state.seconds if plan.seconds else 0.0
                state.planned = min(state.planned, state.step + max(1, int(left / paces[1])))
            if progress is not None:
                progress("training", state.step, state.planned)
            if asked_to_stop.is_set():
                _save(state, checkpoint)
                raise KeyboardInterrupt
            if plan.seconds is not None and now - started > plan.seconds + plan.grace_seconds:
                break  # the machine became slower than it was during the timing
            if now - saved > CHECKPOINT_SECONDS:
                _save(state, checkpoint)
                saved = now


def _timing(state: _State, sampler: CropSampler, options: TrainOptions) -> dict[int, float]:
    """Measure the seconds of a step with several numbers of threads, on a copy of the state."""
    cores = os.cpu_count() or 1
    counts = [options.threads] if options.threads else sorted({1, max(1, cores // 2), cores})
    scratch = copy.deepcopy(state)
    paces = {}
    for count in counts:
        torch.set_num_threads(count)
        seconds = []
        with ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(sampler.draw, 0)
            for step in range(TIMING_STEPS):
                batch, upcoming = upcoming.result(), pool.submit(sampler.draw, step + 1)
                tick = time.monotonic()
                _step(scratch, batch, options)
                seconds.append(time.monotonic() - tick)
        paces[count] = statistics.median(seconds[2:]) * 1.03  # the drawing of batches is not wholly hidden
    return paces


def _worthwhile(paces: dict[int, float]) -> int:
    """Return the number of threads to train with: more only where they are clearly faster.

    Examples
    --------
    >>> _worthwhile({1: 0.20, 2: 0.13}), _worthwhile({1: 0.20, 2: 0.17}), _worthwhile({1: 0.2, 2: 1.1})
    (2, 1, 1)
    """
    best = min(paces)
    for count in sorted(paces):
        if paces[count] * WORTH < paces[best]:
            best = count
    return best


def _slowed(state: _State, recent: deque[float], paces: dict[int, float]) -> bool:
    """Whether the steps have become so slow that the threads must be waiting for each other."""
    if 1 not in paces or state.threads == 1 or state.one_thread_from is not None:
        return False
    return len(recent) == RECENT_STEPS and statistics.median(recent) > SLOWED * paces[state.threads]


def _planned_steps(state: _State, plan: Plan, pace: float) -> int:
    """Return the steps that fit into the budget at the pace of the timing steps."""
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
        group["lr"] = group["rate"] * _learning_rate(options, state.step, state.planned)
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
