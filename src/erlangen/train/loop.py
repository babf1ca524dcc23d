"""A training in progress: steps, looks at what is held out, stops."""

import copy
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from erlangen.models import Classifier, UNet
from erlangen.train.angles import TURNED
from erlangen.train.best import Best, rank
from erlangen.train.checkpoint import save
from erlangen.train.clock import Clock
from erlangen.train.cost import Cost, Trial, measure_cost
from erlangen.train.counts import class_counts
from erlangen.train.crops import Crops
from erlangen.train.data import Data
from erlangen.train.device import precision
from erlangen.train.gradient import Gradient
from erlangen.train.images import as_batch
from erlangen.train.losses import Loss
from erlangen.train.masks import IGNORED
from erlangen.train.predictor import Predictor
from erlangen.train.runaway import FAR, WORSE, is_away, steps_away
from erlangen.train.settings import Settings
from erlangen.train.state import PROGRESS, State, read_state, save_state
from erlangen.train.stopping import Stop
from erlangen.train.tiles import answer

Progress = Callable[["Step"], None]
SAVE_EVERY = 30.0  # seconds of training
COARSE = 256  # rows of a mask that tell what a loss would be
RECENT = 50  # steps whose mean loss is shown
FEW = 10  # steps, or a fifth of a training up to RECENT, that tell a runaway from a bad moment


@dataclass(frozen=True)
class Step:
    """Where a training stands.

    Attributes:
        step: how many are done.
        minutes: of them.
        fraction: of the training that is done.
        loss: of this step or, at a look, the mean of the last ones.
        score: of the photographs held out, at a look.
        remaining: seconds until all is done, looks included, and the page where one is written.
    """

    step: int
    minutes: float
    fraction: float
    loss: float
    score: float | None
    remaining: float = 0.0


@dataclass(frozen=True, eq=False)
class Run:
    """What a training gave: the network, its curves, and the photographs it was not shown.

    Attributes:
        model: the network at the end; of a training that ran away, the best one before.
        settings: how it was trained.
        history: a row for each look: step, minutes, loss, score.
        held_out: the photographs that it was scored on.
        notes: what the user should know.
        score: of `model` on them.
        best: the network of the look with the best score, where that is not the last. It was chosen by this
            score, which flatters it; the last one was not.
    """

    model: Predictor
    settings: Settings
    history: list[dict[str, float]]
    held_out: Data
    notes: tuple[str, ...] = ()
    score: float = math.nan
    best: Predictor | None = None

    def save(self, folder: str | Path) -> Path:
        """Write the network, and ``best.safetensors`` beside it, if the best is another; see `er.save`."""
        beside = Path(folder) / "best.safetensors"
        written = save(self.model, folder)
        if self.best is not None:
            save(self.best, beside)
        else:
            beside.unlink(missing_ok=True)  # that of an earlier training, if any
        return written


class Diverged(ValueError):
    """A training ran away; `run` is what it gave until then, with the best network of its looks."""

    def __init__(self, message: str, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run


class Training:
    """A training in progress, which can be saved, stopped and restored between any two steps.

    Args:
        model, loss, crops, settings: what is trained, how, and on what.
        held_out: photographs that it is scored on.
        out: the folder for its state and its network.
        notes: what the user should know of the photographs.
        lock: keeps others out of the folder until the end of `run`.
        clock: has run while the training was prepared.
        page: whether the time that is asked for includes that of `write_run`.
    """

    def __init__(
        self,
        model: Predictor,
        loss: Loss,
        crops: Crops,
        settings: Settings,
        held_out: Data,
        out: str | Path | None = None,
        notes: tuple[str, ...] = (),
        *,
        lock: AbstractContextManager | None = None,
        clock: Clock | None = None,
        page: bool = False,
    ) -> None:
        self.model, self.loss, self.crops, self.settings = model, loss, crops, settings
        self.held_out, self.out, self.notes = held_out, out, notes
        self.lock, self.clock, self.page = lock or nullcontext(), clock or Clock(), page
        real = all(p.is_floating_point() for p in model.parameters())
        fused = True if real and model.mean.device.type == "cuda" else None
        self.optimizer = torch.optim.AdamW(
            model.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=fused
        )
        amp, self.precision = precision(settings.amp, model.mean.device)
        self.gradient = Gradient(model, loss, amp)
        self.total = settings.total_steps(len(crops.images))
        self.step, self.seconds, self.checked = 0, 0.0, 0
        self.looks, self.turned = settings.looks, TURNED
        self.looking = self.proving = 0.0  # seconds of a look, and of the page
        self.planned = False
        self.losses: list[float] = []
        self.untrained = 0.0
        self.history: list[dict[str, float]] = []
        self.best = self._now(None)

    def facts(self) -> dict[str, str]:
        """What will be trained, on what, and what it will take; in words."""
        task, net = self.model.task, self.model.net
        counts = class_counts(task, self.crops.truths)
        shares = [
            f"{name} {100 * n / counts.sum():.3g} %" for name, n in zip(task.classes, counts, strict=True)
        ]
        parameters = sum(p.numel() for p in net.parameters())
        domain = f" on {net.domain}" if isinstance(net, UNet | Classifier) else ""
        return {
            "task": f"{task.name}: {', '.join(shares)}",
            self.held_out.what: f"{len(self.crops.images)} to learn from, {len(self.held_out)} held out",
            "network": f"{type(net).__name__}{domain}, {parameters:,} parameters",
            "loss": self.loss.extra_repr(),
            "precision": self.precision,
            "cost": str(self.cost()),
        }

    def cost(self) -> Cost:
        """What the rest of the training will take, measured on a copy, whose steps it never sees.

        Where time decides, the looks and the page are cut down to what it holds, and `notes` say so.
        """
        with self.clock:
            crops = Crops(self.crops.images, self.crops.truths, self.settings, self.crops.spacing)
            still = replace(self.resolved, lr=1e-12)
            model = copy.deepcopy(self.model)
            trial = Training(model, self.loss, crops, still, self.held_out, clock=self.clock)
            trial.step, trial.seconds = self.step, self.seconds
            cost = measure_cost(
                Trial(
                    model,
                    trial.advance,
                    trial.gradient.recordable,
                    crops,
                    self.held_out,
                    self.clock,
                    steps=None if self.total is None else self.total - self.step,
                    looks=self.looks - self.checked,
                    turned=trial.turned,
                    page=self.page,
                )
            )
        if self.total is None and not self.planned:
            self.notes += cost.notes
            self.looks, self.turned, self.planned = self.checked + cost.looks, cost.turned, True
        self.looking, self.proving = cost.looking / max(cost.looks, 1), cost.proving
        return cost

    @property
    def resolved(self) -> Settings:
        """The settings, with the precision that was chosen: on any machine they give the same training."""
        return replace(self.settings, amp=self.gradient.amp)

    @property
    def reserve(self) -> float:
        """Seconds that looks and the page will take."""
        return self.looking * (self.looks - self.checked) + self.proving

    @property
    def fraction(self) -> float:
        """How much of the training is done; of minutes, of those that looks and the page leave."""
        if self.total:
            return min(self.step / self.total, 1.0)
        left = 60 * self.settings.minutes - self.clock.seconds - self.reserve
        return self.seconds / (self.seconds + left) if left > 0 else 1.0

    @property
    def remaining(self) -> float:
        """Seconds until all is done."""
        if self.total is None:
            return max(60 * self.settings.minutes - self.clock.seconds, 0.0)
        return self.seconds / max(self.step, 1) * (self.total - self.step) + self.reserve

    def run(self, progress: Progress | None = None) -> Run:
        """Train to the end; if asked to stop, leave the state in `out`.

        Raises:
            Diverged: if the loss, its gradient or the weights are no numbers any more, or if the loss stays
                far above that of the untrained network; the best network until then is in its `run`.
            KeyboardInterrupt, SystemExit: after the step or save in which Ctrl-C, or a request to end, came.
        """
        report = progress or (lambda _step: None)
        with self.lock, self.clock, Stop() as stop:
            self._save()  # whether there is room shows before the work, not after
            try:
                held_out = self.held_out.load(self.settings.size, self.settings.shrinking)
                if not class_counts(self.model.task, held_out[1]).any():
                    raise ValueError("no pixel of the masks held out counts, expected some to score on")
                if self.total is None and not self.planned:
                    self.cost()
                try:
                    self._train(report, held_out, stop)
                except Diverged as error:
                    raise self._with_best(error, held_out) from None
                run = self._finished()
                with suppress(OSError):  # the network is there, or a note says why not
                    self._save()
                stop.check()
            except (KeyboardInterrupt, SystemExit):
                self._save()
                raise
        return run

    def _train(self, report: Progress, held_out: tuple[list[Tensor], list[Tensor]], stop: Stop) -> None:
        saved = self.seconds
        while self.checked < self.looks:
            stop.check()
            if self.step and self.fraction >= (self.checked + 1) / self.looks:
                report(self._look(*held_out, stop))
                continue
            start = time.monotonic()
            self.advance()
            self.seconds += time.monotonic() - start  # looking and saving is not training
            self._expect_better_than_nothing(FAR, self._few)
            report(self._where(self.losses[-1], None))
            if self.seconds - saved > SAVE_EVERY:
                self._save()
                saved = self.seconds

    def _where(self, loss: float, score: float | None) -> Step:
        return Step(self.step, self.seconds / 60, self.fraction, loss, score, self.remaining)

    def _look(self, images: list[Tensor], truths: list[Tensor], stop: Stop | None = None) -> Step:
        """Score the photographs held out, and keep the network if it is the best so far."""
        start = time.monotonic()
        self._expect_numbers()
        score = validate(self.model, images, truths, stop)
        loss = sum(self.losses) / max(len(self.losses), 1)
        minutes = self.seconds / 60
        self.history.append({"step": self.step, "minutes": minutes, "loss": loss, "score": score})
        self.checked += 1
        if self.checked == self.looks:
            self._expect_better_than_nothing(WORSE, 1)
        if self.best.is_below(score, loss) and not is_away(self.losses, self.untrained, WORSE):
            self.best = self._now(score)
            if self.checked < self.looks and self.out is not None:  # the last one is written in the end
                with suppress(ValueError):  # another network than ours: a note will say so
                    save(self.model, self.out)
        self.looking = time.monotonic() - start
        return self._where(loss, score)

    def advance(self) -> None:
        """One step: a batch of crops, the gradient of the loss, the optimizer."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * _schedule(self.fraction)
        loss = self.gradient(*self.crops.batch())
        if not math.isfinite(loss) and self.step == 0:
            raise ValueError(
                f"the loss, or its gradient, is {loss} before the first step, expected a number; look at the "
                "photographs, the masks and the class weights"
            )
        if not math.isfinite(loss):
            before = f" ({self.losses[-1]:.4g} before)" if self.losses else ""
            raise Diverged(
                f"the loss, or its gradient, is {loss} at step {self.step}{before}, expected a number; "
                f"{self._mend}"
            )
        if self.step == 0:
            self.untrained = max(loss, self._blind)
        self.optimizer.step()
        self.losses = [*self.losses, loss][-RECENT:]
        self.step += 1

    @property
    def _blind(self) -> float:
        """The loss of an answer that knows nothing, to some rows of some photographs."""
        rows = (truth[:: -(-len(truth) // COARSE)] if truth.dim() else truth for truth in self.crops.truths)
        counted = (truth for truth in rows if (truth != IGNORED).any())
        return max(map(self.loss.of_nothing, islice(counted, FEW)), default=0.0)

    @property
    def _few(self) -> int:
        """Losses that must be seen before a training is said to have run away."""
        expected = self.total or self.step / max(self.fraction, 1e-3)
        return round(min(RECENT, max(FEW, expected / 5)))

    @property
    def _mend(self) -> str:
        also = "" if self.loss.weights is None else ", or class weights that differ less"
        smaller = f"take a smaller learning rate than lr={self.settings.lr} (--lr){also}"
        return f"{smaller}, and start over (--overwrite)"

    def _expect_better_than_nothing(self, factor: float, least: int) -> None:
        recent = self.losses[-self._few :]
        if len(recent) < least or not is_away(recent, self.untrained, factor):
            return
        away = steps_away(self.losses, self.untrained)
        before = self.losses[: len(self.losses) - away]
        was = f"{sum(before) / len(before):.4g} before, " if before else ""
        raise Diverged(
            f"since step {self.step - away} the loss is {sum(recent) / len(recent):.4g} in the mean ({was}"
            f"{self.untrained:.4g} of the untrained network), expected it to fall; {self._mend}"
        )

    def _expect_numbers(self) -> None:
        """Diverged, if weights or statistics that were finite are so no more, or if no gradient is left."""
        kept = self.best.weights
        for name, tensor in self.model.state_dict().items():
            if not tensor.isfinite().all() and kept[name].isfinite().all():
                raise Diverged(
                    f"the weights hold NaN or infinity at step {self.step} ({name} first; the loss was "
                    f"{self.losses[-1]:.4g}), expected finite ones; {self._mend}"
                )
        grads = [p.grad for p in self.model.parameters() if p.grad is not None]
        if grads and not any(g.any() for g in grads) and 2 * self.losses[-1] > self.untrained:
            raise Diverged(
                f"the gradient is 0 at step {self.step}, and the loss {self.losses[-1]:.4g} "
                f"({self.untrained:.4g} of the untrained network): it is so sure of its answers that it "
                f"cannot learn, expected a gradient; {self._mend}"
            )

    def _now(self, score: float | None) -> Best:
        """The network as it is."""
        weights = {name: t.detach().cpu().clone() for name, t in self.model.state_dict().items()}
        return Best(self.step, sum(self.losses) / max(len(self.losses), 1), score, weights)

    def _with_best(self, error: Diverged, held_out: tuple[list[Tensor], list[Tensor]]) -> Diverged:
        """The same error, with the best network so far, which is the network in `out` from now on."""
        best, measure = self.best, self.model.task.measure
        self.model.load_state_dict(best.weights)
        which = f"the best network before that ({measure} {best.score or 0.0:.3f} at step {best.step})"
        score = best.score
        if score is None:
            score = validate(self.model, *held_out)
            which = "no look before that found better than the untrained network, which"
            if not self.history:
                row = {"step": 0, "minutes": 0.0, "loss": self.untrained, "score": score}
                self.history.append(row)
        run = self._run_of(self.model, score, (f"this training ran away: {error}",))
        run, kept = self._kept(run)
        return Diverged(f"{error}; {which} is in {self.out if kept else '`run` of this error'}", run)

    def _finished(self) -> Run:
        """What the training gave, and its network in `out`; no failure there loses it here."""
        last, best = self.history[-1]["score"], self.best
        if best.score is None or rank(best.score) <= rank(last):
            return self._kept(self._run_of(self.model, last))[0]
        other = copy.deepcopy(self.model)
        other.load_state_dict(best.weights)
        measure = self.model.task.measure
        note = (
            f"the network of step {best.step} scored higher than the last one ({measure} {best.score:.3f}, "
            f"{last:.3f}); it is kept as well, beside it, as the best one"
        )
        run = self._run_of(self.model, last, (note,))
        return self._kept(replace(run, best=other.cpu().eval()))[0]

    def _run_of(self, model: Predictor, score: float, notes: tuple[str, ...] = ()) -> Run:
        self.gradient.forget()
        notes = (*self.notes, *notes)
        return Run(model.cpu().eval(), self.resolved, self.history, self.held_out, notes, score)

    def _kept(self, run: Run) -> tuple[Run, bool]:
        """The run, with a note if its network could not be written; whether it was."""
        if self.out is None:
            return run, False
        try:
            run.save(self.out)
        except (OSError, ValueError) as error:
            return replace(run, notes=(*run.notes, str(error))), False
        return run, True

    def _save(self) -> None:
        if self.out is not None:
            save_state(self.state(), self.out)

    def state(self) -> State:
        """All that it goes on from."""
        moments = self.optimizer.state_dict()["state"].items()
        return State(
            settings=self.resolved,
            photographs=len(self.crops.images),
            pixels=self.crops.checksum,
            weights=self.model.state_dict(),
            moments={f"{i}.{name}": torch.as_tensor(t) for i, own in moments for name, t in own.items()},
            best=self.best,
            elapsed=self.clock.seconds,
            **self.crops.state(),
            **{name: getattr(self, name) for name in PROGRESS},
        )

    def restore(self, folder: str | Path) -> None:
        """Go on where the one in ``folder/training.safetensors`` was.

        Raises:
            ValueError: if there is none, if it is damaged, or if it was another training.
        """
        asked = replace(self.state(), settings=self.settings)
        state = read_state(folder, asked, self.model.parameters())
        if self.settings.amp == "auto":  # what was chosen there stays
            chosen = state.settings.amp
            self.gradient.amp, self.precision = precision(chosen, self.model.mean.device)
        optimizer = self.optimizer.state_dict()
        for name, moment in state.moments.items():
            index, entry = name.split(".")
            optimizer["state"].setdefault(int(index), {})[entry] = moment
        self.optimizer.load_state_dict(optimizer)
        self.model.load_state_dict(state.weights)
        self.crops.restore({"generator": state.generator, "queue": state.queue})
        self.best = state.best
        self.clock.add(state.elapsed)
        for name in PROGRESS:
            setattr(self, name, getattr(state, name))


def validate(model: Predictor, images: list[Tensor], truths: list[Tensor], stop: Stop | None = None) -> float:
    """The score (`Task.score`), pooled over all photographs; it stops between any two of them."""
    predicted = []
    for image in images:
        if stop is not None:
            stop.check()
        predicted.append(model.task.decide(answer(model, as_batch([image])))[0])
    return model.task.score(predicted, truths)


def _schedule(fraction: float) -> float:
    warm = 0.1
    if fraction < warm:
        return max(fraction / warm, 0.02)
    return 0.5 * (1 + math.cos(math.pi * (fraction - warm) / (1 - warm))) + 1e-3
