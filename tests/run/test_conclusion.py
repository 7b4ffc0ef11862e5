"""A session's answers become a verdict on each candidate; what makes a regression is resampled once."""

import pytest

from harness.baselines.target import NO_TARGET, model_target, run_target
from harness.comparison.regressed_cases import ResampledAnswers
from harness.errors import EngineError
from harness.run.cache import Cache
from harness.run.conclusion import conclude_session
from harness.run.session import run_session
from harness.statistics.paired_binary import Trials
from harness.types import GateVerdict, MetricFinding

LOST = {f"s/{n:02}" for n in range(12)}


@pytest.fixture
def concluded(inputs_of, models, golden_set, opened):
    """Runs a session in which the candidate fails some cases, and concludes it."""

    def conclude(target, lost=(), resample=None, **chosen):
        opened.wrong = {("candidate", key) for key in lost}
        with Cache(None) as cache:
            session = run_session(inputs_of(target, **chosen), [golden_set], cache, lambda *_: None)
        return conclude_session(session, collected=50, resample=resample)

    return conclude


@pytest.fixture
def target(models):
    return model_target(models["baseline"])


class Resampling:
    """Fresh answers: every case passes ``was`` of 3 on the baseline and ``now`` of 3 on the candidate."""

    def __init__(self, was, now, error=None):
        self.was, self.now, self.error, self.asked = was, now, error, []

    def __call__(self, keys):
        self.asked.append(set(keys))
        if self.error is not None:
            raise self.error
        trial = Trials(baseline_passed=self.was, baseline=3, candidate_passed=self.now, candidate=3)
        return ResampledAnswers(trials=dict.fromkeys(keys, trial), times=3, judge_requests=0, duration_s=1.0)


def test_without_a_baseline_there_is_a_run_and_no_verdict(concluded):
    record = concluded(NO_TARGET)[""]
    assert (record.baseline, record.comparison, record.verdict) == (None, None, None)
    assert (len(record.run.results), record.run.collected) == (40, 50)


def test_a_drop_is_a_regression(concluded, target):
    record = concluded(target, LOST)[""]
    assert record.verdict.outcome is GateVerdict.REGRESS
    assert set(record.comparison.metrics[0].lost) == LOST
    assert record.baseline.model == target.model


def test_a_stored_run_is_compared_as_it_was(concluded, make_run, make_result):
    stored = make_run([make_result(f"s/{n:02}") for n in range(40)])
    record = concluded(run_target(stored))[""]
    assert record.baseline == stored


def test_what_makes_a_regression_is_resampled_once(concluded, target):
    resampling = Resampling(3, 0)
    record = concluded(target, LOST, resampling)[""]
    assert resampling.asked == [LOST]
    assert record.verdict.outcome is GateVerdict.REGRESS
    assert [each.stands for each in record.comparison.confirmations] == [True]


def test_a_regression_that_does_not_show_again_is_inconclusive(concluded, target):
    record = concluded(target, LOST, Resampling(3, 3))[""]
    assert record.verdict.outcome is GateVerdict.INCONCLUSIVE


def test_what_is_no_regression_is_not_resampled(concluded, target):
    resampling = Resampling(3, 0)
    # So few cases can't exclude a drop.
    assert concluded(target, (), resampling)[""].verdict.outcome is GateVerdict.INCONCLUSIVE
    assert resampling.asked == []


def test_a_regression_stands_where_resampling_fails(concluded, target):
    record = concluded(target, LOST, Resampling(3, 3, EngineError("out of memory")))[""]
    assert record.verdict.outcome is GateVerdict.REGRESS
    assert [each.problem for each in record.comparison.confirmations] == ["out of memory"]


def test_several_candidates_share_the_level_of_a_regression(concluded, target):
    """Four cases lost and none gained have a p-value below 5 %, and beyond half of that."""
    lost = {f"s/{n:02}" for n in range(4)}
    alone = concluded(target, lost)[""]
    assert 0.025 < alone.comparison.metrics[0].p_value <= 0.05
    assert alone.verdict.outcome is GateVerdict.REGRESS
    both = concluded(target, lost, candidates=("candidate", "candidate-2"))
    assert both["candidate"].verdict.outcome is GateVerdict.INCONCLUSIVE
    # The p that is told decides, wherever it is told.
    row = both["candidate"].comparison.metrics[0]
    data = [each.data for each in both["candidate"].verdict.findings]
    told = [each.p_value for each in data if isinstance(each, MetricFinding)]
    assert [row.p_adjusted, *told] == pytest.approx([2 * alone.comparison.metrics[0].p_adjusted] * 2)
    assert row.p_adjusted > 0.05
    # All else is told at the level of a single gate.
    assert {each.comparison.metrics[0].drop.confidence for each in both.values()} == {0.9}
