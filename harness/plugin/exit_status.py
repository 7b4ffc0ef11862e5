"""The exit status of a session with a model."""

from collections.abc import Collection

import pytest

from harness.types import GateVerdict


def exit_status(
    verdicts: Collection[GateVerdict], *, fail_on: str, failed: int, missed: int, stopped: bool
) -> pytest.ExitCode:
    """Decide how a session ends that ran to its end.

    Args:
        verdicts: Of the gated models; empty without a baseline.
        fail_on: ``inconclusive`` fails on that verdict too.
        failed: How many items failed, those included whose failure the comparison alone judges.
        missed: How many those are.
        stopped: Whether pytest was told to stop for failures, such as by ``-x``.
    """
    refused = {GateVerdict.REGRESS}
    if fail_on == "inconclusive":
        refused.add(GateVerdict.INCONCLUSIVE)
    if failed > missed or stopped or not refused.isdisjoint(verdicts):
        return pytest.ExitCode.TESTS_FAILED
    return pytest.ExitCode.OK
