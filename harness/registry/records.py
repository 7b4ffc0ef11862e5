"""Records of everything except metrics that can be registered. Nothing runs until the name is used.

A function may be given itself or by its path ``module:name``, which is imported when it is first called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Function: TypeAlias = str | Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeKind:
    """A kind of judge, selected by ``--gate-judge=NAME:REFERENCE``.

    Attributes:
        name: The part before the colon.
        form: Its form in messages, such as ``openai:MODEL@URL``.
        open: Called with a ``harness.judge.spec.JudgeSpec``, the longest time for one attempt in seconds and
            the environment; gives a ``harness.judge.base.JudgeEngine``. Nothing may be loaded or sent yet.
        read: Called with the part after the colon; returns the JudgeSpec. None: that part is the model's
            name.
        needs_engine: It runs a model on this machine with tunegate's own engine, which has to be installed.
    """

    name: str
    form: str
    open: Function
    read: Function | None = None
    needs_engine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind:
    """An engine that runs models, selected by ``--model=NAME:REFERENCE``.

    Attributes:
        name: The part before the colon.
        summary: One sentence.
        describe: Called with the reference; gives a ``harness.types.ModelRef`` that identifies the model by
            content (``base_sha256`` is part of every cache key), without loading it. It may refuse it with an
            ``harness.errors.InputError``.
        open: Called with the ModelRefs by side and the ``harness.types.ExecutionPlan``; gives a
            ``harness.engines.base.Engine``.
        measures_text: Whether it can give the cross-entropy of texts. If not, the forgetting probes' general
            text is left out.
    """

    name: str
    summary: str
    describe: Function
    open: Function
    measures_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardKind:
    """A reward, selected by ``rewards: [{type: NAME}]`` in a training configuration.

    Attributes:
        name: Its ``type``.
        settings: A subclass of ``trainers.rewards.settings.WeightedReward`` with ``type: Literal[name]``.
        build: Called with the settings and where they are written, for messages; gives a
            ``trainers.rewards.definition.BuiltReward``.
    """

    name: str
    settings: Function
    build: Function


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainMethod:
    """A trainer, selected by ``tunegate train NAME CONFIG.yaml``.

    Attributes:
        name: The command.
        train: Called with the configuration and ``resume=``; gives the exit status.
        config: The configuration's class, a subclass of ``trainers.config.StrictModel``.
        help: One line.
        example: Values of the required keys in the configuration that ``--init`` prints.
    """

    name: str
    train: Function
    config: Function
    help: str
    example: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """A receiver of finished runs, besides the history.

    Attributes:
        name: For messages.
        send: Called with the ``harness.types.GateRecord`` and the run's directory, after the run is stored;
            may return a path to be printed.
        chosen: Only where ``--gate-track=NAME`` or ``NAME:TARGET`` names it; ``send`` is then given the
            target too, which may be empty, and returns in words where the run is.
    """

    name: str
    send: Function
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReader:
    """A reader of other tools' logs for ``tunegate compare``, selected by the file or by ``--format=NAME``.

    Attributes:
        name: Its name in ``--format``.
        summary: What it reads, in a few words.
        recognises: Called with a file's or directory's path; whether this reader is the one for it. It looks
            at the name and the beginning only, and raises nothing.
        read: Called with the path, and with what follows a ``#``, if that was given, to choose one of
            several runs; gives a ``harness.history.logs.log_cases.RunLog``. It refuses a file with a
            ``harness.errors.DataError``, which names file, line and remedy.
        has_parts: One file may hold several runs.
    """

    name: str
    summary: str
    recognises: Function
    read: Function
    has_parts: bool = False
