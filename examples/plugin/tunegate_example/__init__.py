"""A plug-in for tunegate. Functions are named by path, so nothing is imported before it is used."""

from harness.registry import (
    EngineKind,
    JudgeKind,
    Metric,
    Registrar,
    RewardKind,
    RunReader,
    Sink,
    TrainMethod,
)


def pytest_tunegate_register(registry: Registrar) -> None:
    """Add one of each."""
    registry.add(
        Metric(
            name="politeness",
            kind="graded",
            summary="Polite words of the answer; two of them give the highest score.",
            function="tunegate_example.metric:politeness",
        ),
        JudgeKind(name="keyword", form="keyword:WORD", open="tunegate_example.judge:open_keyword"),
        EngineKind(
            name="canned",
            summary="Answers from a JSON file, by prompt.",
            describe="tunegate_example.engine:describe",
            open="tunegate_example.engine:CannedEngine",
        ),
        RewardKind(
            name="polite",
            settings="tunegate_example.reward:PoliteWords",
            build="tunegate_example.reward:build",
        ),
        TrainMethod(
            name="memorise",
            train="tunegate_example.method:train",
            config="tunegate_example.method:MemoriseConfig",
            help="Learn answers by heart, for the canned engine.",
            example={"data": "train.jsonl", "output": "answers.json"},
        ),
        Sink(name="ledger", send="tunegate_example.sink:send"),
        RunReader(
            name="tally",
            summary="lines of an id and yes or no",
            recognises="tunegate_example.reader:recognises",
            read="tunegate_example.reader:read",
        ),
    )
