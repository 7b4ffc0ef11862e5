"""The exit status follows from the verdicts and from the failures that no comparison judges."""

import pytest

from harness.plugin.exit_status import exit_status
from harness.types import GateVerdict

PASS, REGRESS, INCONCLUSIVE = GateVerdict.PASS, GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "failed", "missed", "stopped", "fails"),
    [
        ((), "regress", 0, 0, False, False),
        ((), "case", 1, 0, False, True),
        ((PASS,), "regress", 3, 3, False, False),
        ((PASS,), "regress", 3, 2, False, True),
        ((PASS,), "regress", 0, 0, True, True),
        ((REGRESS,), "regress", 0, 0, False, True),
        ((PASS, REGRESS), "regress", 3, 3, False, True),
        ((INCONCLUSIVE,), "regress", 0, 0, False, False),
        ((INCONCLUSIVE,), "case", 0, 0, False, False),
        ((INCONCLUSIVE,), "inconclusive", 0, 0, False, True),
        ((PASS,), "inconclusive", 0, 0, False, False),
        ((REGRESS,), "inconclusive", 0, 0, False, True),
    ],
)
def test_it_fails_on_what_it_was_told_to_fail_on(verdicts, fail_on, failed, missed, stopped, fails):
    status = exit_status(verdicts, fail_on=fail_on, failed=failed, missed=missed, stopped=stopped)
    assert status is (pytest.ExitCode.TESTS_FAILED if fails else pytest.ExitCode.OK)
