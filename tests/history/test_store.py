"""A record is kept whole and comes back equal; a file that can't be used is named."""

import re
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BaselineError, HistoryError
from harness.history.migrations import MIGRATIONS
from harness.history.store import open_history
from harness.types import (
    CaseResult,
    Check,
    Comparison,
    Completion,
    Environment,
    ExecutionPlan,
    GateRecord,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    Message,
    MetricError,
    ModelRef,
    Outcome,
    Run,
    Score,
    TextLoss,
    Verdict,
)


def make_run(run_id="20260101-000000-aaaa", cases=3, answer="an answer"):
    """A run with a passed, a failed and an errored case, and so on around."""
    results = []
    for number in range(cases):
        case = GoldenCase(
            id=f"case-{number}",
            set_name="set",
            messages=(Message(role="user", content=f"question {number}"),),
            references=("good",),
            checks=(
                Check(type="f1", threshold=0.5, options={}),
                Check(type="is-json", value={"type": "object"}),
            ),
            metadata={"nested": [1, {"a": None}]},
        )
        broken = number % 3 == 2
        results.append(
            CaseResult(
                case=case,
                completion=Completion(
                    text=answer, stop_reason="stop", prompt_tokens=5, completion_tokens=2, latency_s=0.25
                ),
                scores=(Score(metric="f1", value=0.5, threshold=0.5, passed=number % 3 == 0),),
                errors=(MetricError(metric="is-json", error="it broke"),) if broken else (),
                outcome=(Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED)[number % 3],
            )
        )
    return Run(
        id=run_id,
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=1.5,
        model=ModelRef(
            label="adapters/a",
            base_model="smollm2",
            base_sha256="b" * 64,
            adapter_dir="/a",
            adapter_sha256="a" * 64,
            training={"losses": [{"step": 1, "loss": 0.5}]},
        ),
        plan=ExecutionPlan(
            engine="transformers", dtype="float32", device="cpu", batch_tokens=4096, mixed=True
        ),
        environment=Environment(
            python="3.11", platform="here", packages={"torch": "2"}, commit="c", dirty=False
        ),
        golden_sets=(GoldenSet(name="set", path="set.yaml", content_sha256="d"),),
        collected=cases,
        results=tuple(results),
        text_losses=(TextLoss(passage="tides", nats_per_token=2.5, tokens=100),),
    )


def make_record(**run):
    candidate = make_run(**run)
    baseline = replace(candidate, id="20251231-000000-bbbb")
    return GateRecord(
        run=candidate,
        baseline=baseline,
        comparison=Comparison(
            candidate_run=candidate.id, baseline_run=baseline.id, metrics=(), unpaired=("x",)
        ),
        verdict=Verdict(outcome=GateVerdict.INCONCLUSIVE, reasons=("because",)),
    )


def test_a_record_comes_back_equal(tmp_path):
    record = make_record()
    with open_history(tmp_path / "deep" / "history.sqlite") as history:
        history.save(record)
    with open_history(tmp_path / "deep" / "history.sqlite") as history:
        assert history.load_record(record.run.id) == record
        assert history.load_run("latest") == record.run
        assert history.load_run(record.baseline.id) == record.baseline


def test_a_run_without_a_gate_comes_back_equal(tmp_path):
    record = GateRecord(run=make_run())
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(record)
        assert history.load_record("latest") == record


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_answer_survives(tmp_path_factory, answer):
    """Quotes, NUL, emoji: what the model said comes back, or is refused by no one."""
    record = make_record(answer=answer)
    with open_history(tmp_path_factory.mktemp("h") / "h.sqlite") as history:
        history.save(record)
        assert history.load_record("latest") == record


def test_a_baseline_is_stored_once(tmp_path):
    first, second = make_record(), make_record(run_id="20260102-000000-cccc")
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(first)
        history.save(second)
        assert [line.id for line in history.list_runs()] == [second.run.id, first.run.id]
        assert history.list_runs(limit=1)[0].outcomes == {"passed": 1, "failed": 1, "errored": 1}
        assert history.load_run("latest~1") == first.run
    count = sqlite3.connect(tmp_path / "h.sqlite").execute("SELECT count(*) FROM runs").fetchone()[0]
    assert count == 3


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("2026", "run '2026' is ambiguous: 20260102-000000-cccc, 20260101-000000-aaaa"),
        ("20260101-000000-aaab", r"no run .* \(allowed: latest, 20260101-000000-aaaa"),
        ("latest~7", "the history holds fewer"),
        ("main", "no run 'main'"),
    ],
)
def test_a_reference_that_names_no_run(tmp_path, reference, message):
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(make_record())
        history.save(make_record(run_id="20260102-000000-cccc"))
        assert history.resolve("20260102") == "20260102-000000-cccc"
        with pytest.raises(BaselineError, match=message):
            history.resolve(reference)


def test_a_file_that_is_no_history(tmp_path):
    path = tmp_path / "h.sqlite"
    path.write_text("no database, but long enough to be taken for one" * 50)
    with pytest.raises(HistoryError, match=r"h.sqlite: file is not a database"), open_history(path):
        pass


def test_a_newer_file_is_not_touched(tmp_path):
    path = tmp_path / "h.sqlite"
    with open_history(path):
        pass
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.commit()
    with (
        pytest.raises(HistoryError, match=r"written by a newer tunegate .*: upgrade tunegate"),
        open_history(path),
    ):
        pass


def test_a_crash_while_saving_leaves_nothing_of_the_run(tmp_path):
    record = make_record()
    twice = replace(record.run, results=(record.run.results[0], record.run.results[0]))
    with pytest.raises(HistoryError), open_history(tmp_path / "h.sqlite") as history:
        history.save(replace(record, run=twice))
    with open_history(tmp_path / "h.sqlite") as history:
        assert history.list_runs() == []


def test_two_processes_may_open_a_fresh_file_at_once(tmp_path):
    errors = []

    def work(number):
        try:
            with open_history(tmp_path / "h.sqlite") as history:
                history.save(make_record(run_id=f"20260101-00000{number}-aaaa"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with open_history(tmp_path / "h.sqlite") as history:
        assert len(history.list_runs()) == 5


def test_a_file_of_schema_1_is_still_read(tmp_path):
    """A real file that the first schema wrote, kept as it was."""
    old = shutil.copy(Path(__file__).parent / "fixtures" / "schema_1.sqlite", tmp_path / "h.sqlite")
    with open_history(Path(old)) as history:
        assert history.load_record("latest") == make_record()


SQL = re.findall(
    r"```sql\n(.*?)```", (Path(__file__).parents[2] / "docs" / "history.md").read_text(), re.DOTALL
)


@pytest.mark.parametrize("query", SQL)
def test_the_pages_queries_run(tmp_path, query):
    """Each SQL snippet of docs/history.md runs against a stored gate."""
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(make_record())
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as database:
        rows = database.execute(query).fetchall()
    assert rows or "bob-kettles" in query
