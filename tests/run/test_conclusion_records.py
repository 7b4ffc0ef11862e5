"""Scored answers become runs that say how they came about, and records are stored."""

import pytest

from harness.baselines.target import model_target
from harness.history.store import open_history
from harness.run.cache import Cache
from harness.run.conclusion import save, session_runs
from harness.run.session import run_session
from harness.types import GateRecord, GoldenSet


@pytest.fixture
def session(inputs_of, models, golden_set, opened, case_of):
    other = GoldenSet(name="other", path="other.yaml", cases=(case_of("x"),))
    with Cache(None) as cache:
        return run_session(
            inputs_of(model_target(models["baseline"])),
            [golden_set, other],
            cache,
            lambda *_: None,
            only={"baseline": {"s/x"}},
        )


def test_a_side_s_run_holds_the_sets_that_it_answered(session):
    runs = session_runs(session, collected=99)
    assert {side: [each.name for each in run.golden_sets] for side, run in runs.items()} == {
        "candidate": ["s", "other"],
        "baseline": ["other"],
    }
    # The cases are in the results.
    assert {each.cases for run in runs.values() for each in run.golden_sets} == {()}
    assert {run.collected for run in runs.values()} == {99}
    assert len({run.id for run in runs.values()}) == 2


def test_a_run_says_how_its_metrics_are_read(session):
    assert set(session_runs(session, collected=41)["candidate"].metrics) == {"contains"}


def test_a_record_is_stored_and_has_a_directory(session, tmp_path):
    run = session_runs(session, collected=41)["candidate"]
    directory = save(GateRecord(run=run), tmp_path)
    assert directory == tmp_path / "runs" / run.id
    assert directory.is_dir()
    with open_history(tmp_path / "history.sqlite") as history:
        assert history.load_run(run.id).id == run.id
