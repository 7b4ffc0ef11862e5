"""The callback for ``transformers.Trainer`` and everything that is built on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness.baselines.target import find_baseline, stored_run
from harness.errors import HistoryError, SettingsError, TunegateError
from harness.history.store import noted_stability, open_history
from harness.run.conclusion import save
from harness.run.judging import as_baseline
from harness.run.session import metric_facts
from harness.statistics.spending import SpendingShape
from harness.types import GateRecord, GateVerdict, ModelRef, Run
from harness.types.golden import ALPHA
from trainers.callback.asking import TrainingGate, prepare_asking
from trainers.callback.kept_checkpoint import DIRECTORY, keep_checkpoint
from trainers.callback.live_answers import answer_live, has_finite_weights
from trainers.callback.live_checks import check_model, check_room
from trainers.callback.live_references import base_reference, checkpoint_reference, has_plain_base
from trainers.callback.looks import (
    Look,
    best_look,
    facts_of,
    first_unanswered,
    judge_look,
    level_at,
    look_of,
    looks_in,
    numbers_of,
)
from trainers.callback.process_answers import answer_checkpoint
from trainers.run.processes import of_main_process
from tunegate.printable import printable_line, say

_BASE, _START = "base", "start"
# An attribute of the trainer's state, which each training has anew.
_MARK = "_tunegate_gate"


class GateCallback(TrainerCallback):
    """Answers golden sets at each save, compares with a baseline, and stops on a sure regression.

    Attributes:
        looks: The looks so far, oldest first.
        best: The directory of the best checkpoint's model; None while none is without a regression.
    """

    def __init__(
        self,
        golden: Sequence[str | Path] | str | Path | None = None,
        *,
        baseline: str = _BASE,
        every: int = 1,
        stop: bool = True,
        spending: SpendingShape = "pocock",
        where: Literal["process", "subprocess"] = "process",
        **settings: Any,
    ) -> None:
        """Configure the looks; everything is checked when training begins.

        Args:
            golden: Files and directories of golden sets; the project's own by default.
            baseline: ``base``: the model without its adapter; ``start``: the model before the first step; or
                an accepted baseline, or a run's id. In a subprocess also another model.
            every: Look at each n-th save.
            stop: Whether a sure regression ends the training.
            spending: How the level is spent over the steps.
            where: ``process``: by the weights in training; ``subprocess``: by the saved checkpoint.
            **settings: Further settings by their names in ``[tool.tunegate]``, such as ``margin``,
                ``forgetting`` or ``judge``.

        Raises:
            SettingsError: An argument has a value that isn't allowed.
        """
        _check_arguments(golden, baseline, every, stop, spending, where)
        given = dict(settings)
        if golden is not None:
            paths = [golden] if isinstance(golden, str | Path) else list(golden)
            given["golden"] = tuple(str(Path(path).absolute()) for path in paths)
        self.looks: list[Look] = []
        self.best: Path | None = None
        self._given, self._baseline_name = given, baseline
        self._every, self._stop, self._spending, self._where = every, stop, spending, where
        self._asking: TrainingGate | None = None
        self._baseline: Run | None = None
        self._base: ModelRef | None = None
        self._trainer: Any = None
        self._saves = 0

    def follow(self, trainer: Any) -> Self:
        """Also send each look to the trainer's trackers (``report_to``).

        Args:
            trainer: The trainer that has this callback.

        Returns:
            This callback, so that it can be added in the same line.
        """
        self._trainer = trainer
        return self

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        processing_class: Any = None,
        **_: Any,
    ) -> None:
        """Check everything, and answer as the baseline.

        Raises:
            InputError: Something can't be used; before the first step.
        """
        if str(getattr(args.save_strategy, "value", args.save_strategy)) == "no":
            raise SettingsError("GateCallback: looks at each save: give the trainer a save_strategy")
        if vars(state).setdefault(_MARK, self) is not self:
            # Both would keep their best in one directory, and read each other's looks after a resume.
            raise SettingsError("GateCallback: there are two: give all golden sets to one")
        self.looks, self._saves = looks_in(state.log_history), 0
        named = {} if self._baseline_name == _START else {"baseline": self._baseline_name}
        self._asking = asking = prepare_asking({**self._given, **named}, here=self._where == "process")
        best = best_look(self.looks)
        self.best = None if best is None else Path(str(args.output_dir)) / DIRECTORY
        if self._where == "subprocess":
            _check_named(self._baseline_name, asking)
            return
        tokenizer = _tokenizer_of(processing_class)
        check_model(model, tokenizer, args)
        check_room(model, tokenizer, asking)
        _keep_gradients_right(model)
        self._base = base_reference(model)
        if state.is_world_process_zero:
            baseline = self._find_baseline(asking, model, tokenizer, args, state)
            # What can't be judged, such as probes that the baseline fails throughout, is said now.
            judge_look(baseline, baseline, asking.settings, ALPHA, {})
            self._baseline = baseline

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        processing_class: Any = None,
        **_: Any,
    ) -> None:
        """Look at the weights that were just saved."""
        self._saves += 1
        if self._saves % self._every and state.global_step < state.max_steps:
            return
        stops = False
        if state.is_world_process_zero:
            checkpoint = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            stops = self._look(checkpoint, model, _tokenizer_of(processing_class), args, state)
        if of_main_process(stops) and self._stop:
            control.should_training_stop = True

    def _look(
        self, checkpoint: Path, model: Any, tokenizer: Any, args: TrainingArguments, state: TrainerState
    ) -> bool:
        """One look; whether it ends the training."""
        level = level_at(state.global_step, state.max_steps, self.looks, self._spending)
        if not level:
            _say(state, "no level is left at this step: no look")
            return False
        try:
            record = self._judged(checkpoint, model, tokenizer, args, level)
        except Exception as error:
            # A look that failed says nothing of the model: training goes on, and the next one may work. A
            # fault of ours, of a metric or of a disk costs no training either. But weights that are no
            # numbers stay so.
            said = str(error) if isinstance(error, TunegateError) else f"{type(error).__name__}: {error}"
            _say(state, f"the look failed: {printable_line(said)}")
            failure: dict[str, Any] = {"gate/error": said, "step": state.global_step}
            state.log_history.append(failure)
            _rewrite_state(checkpoint, state)
            lost = not has_finite_weights(model)
            if lost:
                _say(
                    state, f"{'stopping: ' if self._stop else ''}the trained weights are not finite any more"
                )
            return lost
        look = look_of(record, state.global_step, level)
        self.looks.append(look)
        self._note(look, args, state)
        if best_look(self.looks) == look:
            try:
                self.best = keep_checkpoint(checkpoint, Path(str(args.output_dir)))
            except OSError as error:
                _say(state, f"the best checkpoint was not kept: {error}")
        _rewrite_state(checkpoint, state)
        return look.stops

    def _judged(
        self, checkpoint: Path, model: Any, tokenizer: Any, args: TrainingArguments, level: float
    ) -> GateRecord:
        asking = self._asking
        assert asking is not None
        if self._where == "subprocess":
            run, baseline = answer_checkpoint(checkpoint, asking)
        else:
            assert self._base is not None
            assert self._baseline is not None
            reference = checkpoint_reference(checkpoint, self._base)
            run, alike = answer_live(model, tokenizer, args, reference, asking, baseline=self._baseline)
            baseline = alike or self._baseline
        stability = noted_stability(asking.noise, baseline.model, baseline.plan, asking.cases, metric_facts)
        record = judge_look(run, baseline, asking.settings, level, stability)
        try:
            save(record, asking.directory, asking.history)
        except (HistoryError, OSError) as error:
            # The verdict is still known.
            say(f"gate: the look can't be stored: {printable_line(str(error))}")
        return record

    def _find_baseline(
        self, asking: TrainingGate, model: Any, tokenizer: Any, args: TrainingArguments, state: TrainerState
    ) -> Run:
        """The run to compare with: a stored one, or that of the model as it is before the first step."""
        name = self._baseline_name
        history = asking.history
        if name not in {_BASE, _START}:
            target = find_baseline(name, (), asking.root, history)
            target.require_asked_alike(asking.asked, asking.settings.chat_template_kwargs)
            found = stored_run(target, asking.asked)
            if found is None:
                raise SettingsError(
                    f"GateCallback: baseline={name!r} is another model, which would have to be loaded beside "
                    f"this one: give where='subprocess', or an accepted baseline"
                )
            return as_baseline(found)
        if self.looks:
            with open_history(history, to_read=True) as opened:
                before = opened.load_run(self.looks[-1].baseline_id)
            new = first_unanswered(before, asking.asked, asking.settings.chat_template_kwargs)
            if new is None:
                return before
            if name == _START or not hasattr(model, "peft_config"):
                raise SettingsError(
                    f"GateCallback: {new}: the model before the first step was not asked this, and is gone "
                    f"(resumed at {state.global_step}): restore the golden sets and "
                    f"chat_template_kwargs, or name an accepted baseline"
                )
        if name == _BASE and hasattr(model, "peft_config") and not has_plain_base(model):
            raise SettingsError(
                "GateCallback: this adapter changes its base's weights, so that the base is not the model "
                "with the adapter off: give baseline='start' or where='subprocess'"
            )
        adapter_on = name == _START or not hasattr(model, "peft_config")
        if state.global_step and adapter_on:
            raise SettingsError(
                f"GateCallback: the model before the first step is gone (resumed at {state.global_step}): "
                f"begin with the callback, or name an accepted baseline"
            )
        assert self._base is not None
        return answer_live(model, tokenizer, args, self._base, asking, adapter_on=adapter_on)[0]

    def _note(self, look: Look, args: TrainingArguments, state: TrainerState) -> None:
        """Tell a look: on the terminal, in the log history, and to the trackers."""
        word = look.outcome.value.upper()
        _say(state, f"{word} at look {len(self.looks)} (level {look.level:.2g}): {look.reason}")
        if look.stops and self._stop:
            _say(state, "stopping: the regression is sure at this level")
        elif look.outcome is GateVerdict.REGRESS and not look.stops:
            _say(state, "cases that must pass don't yet: that alone stops no training")
        numbers = numbers_of(look)
        if state.epoch is not None:
            numbers["epoch"] = state.epoch
        entry: dict[str, Any] = {**numbers, "step": state.global_step, **facts_of(look)}
        state.log_history.append(entry)
        if self._trainer is not None:
            self._trainer.callback_handler.on_log(args, state, self._trainer.control, numbers)


def _check_arguments(golden: Any, baseline: Any, every: Any, stop: Any, spending: Any, where: Any) -> None:
    """Refuse values that Python would take and that mean nothing, such as a misspelt shape.

    Raises:
        SettingsError: With the first one.
    """
    names = [golden] if isinstance(golden, str | Path) else golden
    fits = {
        "golden": (
            golden,
            names is None
            or (isinstance(names, Sequence) and all(isinstance(each, str | Path) for each in names)),
            "a path, or a list of paths",
        ),
        "baseline": (
            baseline,
            isinstance(baseline, str) and bool(baseline),
            "base, start, a name or a run's id",
        ),
        "every": (every, type(every) is int and every >= 1, "a whole number from 1"),
        "stop": (stop, isinstance(stop, bool), "True or False"),
        "spending": (spending, spending in get_args(SpendingShape), "pocock or obrien-fleming"),
        "where": (where, where in {"process", "subprocess"}, "process or subprocess"),
    }
    for name, (value, right, allowed) in fits.items():
        if not right:
            raise SettingsError(f"GateCallback: {name}={value!r} (allowed: {allowed})")


def _check_named(baseline: str, asking: TrainingGate) -> None:
    """Check that the looks' processes will find the baseline: each would fail, and the training go on.

    Raises:
        InputError: They won't, or it was asked otherwise.
    """
    if baseline == _START:
        raise SettingsError("GateCallback: baseline='start' is in this process only: name a model")
    if baseline == _BASE:
        return
    settings = asking.settings
    target = find_baseline(
        baseline, (), asking.root, asking.history, base=settings.base, model_id=settings.model_id
    )
    if target.kind == "none":
        raise SettingsError(f"GateCallback: baseline={baseline!r}: a look has nothing to compare with")
    target.require_asked_alike(asking.asked, settings.chat_template_kwargs)


def _say(state: TrainerState, text: str) -> None:
    say(f"gate: step {state.global_step}/{state.max_steps}: {text}")


def _tokenizer_of(processing_class: Any) -> Any:
    """The tokenizer of a processor, or the tokenizer itself."""
    return getattr(processing_class, "tokenizer", processing_class)


def _keep_gradients_right(model: Any) -> None:
    """On some CPUs answering repacks weights in 4 bits, and gradients through them are wrong from then on."""
    if getattr(model, "is_loaded_in_4bit", False):
        from trainers.run.base_model import keep_gradients_right

        keep_gradients_right(model)


def _rewrite_state(checkpoint: Path, state: TrainerState) -> None:
    """The trainer wrote the checkpoint's state before the look."""
    if (checkpoint / "trainer_state.json").is_file():
        try:
            state.save_to_json(str(checkpoint / "trainer_state.json"))
        except OSError as error:
            _say(state, f"the look is not in the checkpoint's state: {error}")
