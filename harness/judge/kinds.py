"""The kinds of judges that ``--gate-judge`` accepts: the built-in ones, then those of plug-ins."""

from collections.abc import Mapping

from harness.registry import JudgeKind, active

BUILTIN_JUDGES: dict[str, JudgeKind] = {
    kind.name: kind
    for kind in (
        JudgeKind(
            name="openai",
            form="openai:MODEL@URL",
            read="harness.judge.spec:read_openai",
            open="harness.judge.openai_engine:open_openai",
        ),
        JudgeKind(
            name="local", form="local:MODEL", open="harness.judge.local_engine:open_local", needs_engine=True
        ),
        JudgeKind(
            name="reward",
            form="reward:ADAPTER_DIR",
            read="harness.judge.spec:read_reward",
            open="harness.judge.reward_engine:open_reward",
            needs_engine=True,
        ),
    )
}


def judge_kinds() -> Mapping[str, JudgeKind]:
    """All kinds by name."""
    return active().merged(JudgeKind, BUILTIN_JUDGES)
