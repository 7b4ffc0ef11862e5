"""Files that an earlier version wrote still open, list and compare.

``tests/stored`` holds what that version left of a project: its history, its cache, an accepted baseline and a training
manifest. They are kept as they were.
"""

import gzip
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.baselines.accept import accept_run
from harness.baselines.file import load_baseline, read_baseline, run_of
from harness.cli.main import app
from harness.comparison.gate import run_gate
from harness.engines.adapter import read_training
from harness.golden.load import load_golden_set
from harness.history.store import open_history
from harness.presentation.sentences import sentences_of
from harness.run.cache import Cache
from harness.types import Completion, GateRecord, GateVerdict, MetricFacts
from reports.html import render_report

STORED = Path(__file__).parent / "stored"
# The runs: the accepted one, one gated against the accepted file, one gated against the base.
ACCEPTED, AGAINST_FILE, AGAINST_BASE = "20261125-223242-51d7", "20261125-223244-d8c9", "20261125-223245-eb54"


@pytest.fixture
def history_file(tmp_path):
    path = tmp_path / "history.sqlite"
    path.write_bytes(gzip.decompress((STORED / "history.sqlite.gz").read_bytes()))
    return path


@pytest.fixture
def cases():
    paths = sorted((STORED / "golden_sets").glob("*.yaml"))
    return [case for path in paths for case in load_golden_set(path).cases]


def tunegate(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_an_earlier_history_is_listed_and_shown(history_file):
    listed = json.loads(tunegate("runs", "list", "--json", "--history", str(history_file)).stdout)
    assert [line["id"] for line in listed] == [AGAINST_BASE, AGAINST_FILE, ACCEPTED]
    assert {line["verdict"] for line in listed} == {"inconclusive"}
    for run in (ACCEPTED, AGAINST_FILE, AGAINST_BASE):
        shown = tunegate("runs", "show", run, "--history", str(history_file))
        assert shown.exit_code == 0
        assert "capitals" in shown.stdout
        assert "INCONCLUSIVE" in shown.stdout


def test_its_runs_now_say_how_their_metrics_are_read(history_file):
    with open_history(history_file) as history:
        run = history.load_run(ACCEPTED)
    assert run.metrics == {
        "contains": MetricFacts(kind="binary"),
        "rouge-l": MetricFacts(kind="graded"),
        "repetition": MetricFacts(kind="graded", higher_is_better=False),
        "perplexity": MetricFacts(
            kind="graded", higher_is_better=False, least=1.0, most=None, logarithmic=True
        ),
        "not-is-refusal": MetricFacts(kind="binary"),
        "f1": MetricFacts(kind="graded"),
    }


@pytest.mark.parametrize("run", [AGAINST_FILE, AGAINST_BASE])
def test_its_runs_compare_as_they_did(history_file, run):
    """The same figures come out of the stored answers as were stored with them."""
    with open_history(history_file) as history:
        record = history.load_record(run)
    comparison, verdict = run_gate(record.run, record.baseline)
    figures = [(row.metric, row.n, row.drop.estimate) for row in comparison.metrics]
    assert figures == [(row.metric, row.n, row.drop.estimate) for row in record.comparison.metrics]
    assert len(figures) == 9
    assert verdict.outcome is record.verdict.outcome is GateVerdict.INCONCLUSIVE


def test_its_report_can_be_written_again(history_file):
    with open_history(history_file) as history:
        page = render_report(history.load_record(AGAINST_BASE))
    assert "log perplexity" in page
    assert "Do you remember" not in page
    assert "I do not know" in page


def test_a_run_of_a_metric_that_is_not_known_is_compared_without_it(history_file):
    """Nobody knows whether higher was better: it is shown, and not guessed."""
    with closing(sqlite3.connect(history_file)) as database, database:
        database.execute("UPDATE results SET facts = replace(facts, '\"rouge-l\"', '\"sparkle\"')")
    with open_history(history_file) as history:
        record = history.load_record(AGAINST_BASE)
    assert "sparkle" not in record.run.metrics
    comparison, verdict = run_gate(record.run, record.baseline)
    assert "sparkle" not in {row.metric for row in comparison.metrics}
    assert any(
        "sparkle is not compared: its direction and scale are unknown in the candidate and the baseline" in r
        for r in sentences_of(verdict)
    )


def test_an_earlier_accepted_baseline_is_compared_with(history_file, cases):
    accepted = load_baseline(STORED / "shipped.json")
    assert accepted.metrics is None
    with open_history(history_file) as history:
        record = history.load_record(AGAINST_FILE)
    kept = run_of(accepted, cases)
    comparison, _ = run_gate(record.run, kept)
    figures = [(row.metric, row.n, row.drop.estimate) for row in comparison.metrics]
    assert figures == [(row.metric, row.n, row.drop.estimate) for row in record.comparison.metrics]
    # The history knows the file's run already, and sees that it is the same.
    with open_history(history_file) as history:
        history.save(GateRecord(run=replace(record.run, id="later"), baseline=kept, comparison=comparison))


def test_an_accepted_baseline_says_how_its_metrics_are_read(history_file, tmp_path, cases):
    with open_history(history_file) as history:
        run = history.load_run(ACCEPTED)
    path = accept_run(run, "again", "why", tmp_path)
    assert load_baseline(path).metrics == run.metrics
    assert run_of(load_baseline(path), cases).metrics == run.metrics
    older = json.loads(path.read_text())
    del older["metrics"]
    assert run_of(read_baseline(json.dumps(older), "older"), cases).metrics == run.metrics


def test_an_earlier_cache_is_read(tmp_path):
    path = tmp_path / "cache.sqlite"
    path.write_bytes((STORED / "cache.sqlite").read_bytes())
    with closing(sqlite3.connect(path)) as database:
        kept = {key: json.loads(value) for key, value in database.execute("SELECT key, value FROM entries")}
    read = []
    with Cache(path) as cache:
        for key, value in kept.items():
            if "stop_reason" in value:
                read.append(cache.get_completion(key))
                assert read[-1] == Completion(**value)
            elif "nats_per_token" in value:
                read += cache.get_losses([key])
            elif "metric" in value:
                read.append(cache.get(key))
                assert read[-1].metric == "rouge-l"
    assert len(read) > 20
    assert None not in read


def test_an_earlier_training_manifest_is_read(tmp_path):
    (tmp_path / "training_manifest.json").write_bytes((STORED / "training_manifest.json").read_bytes())
    training = read_training(tmp_path)
    assert training is not None
    assert (training.method, training.base, training.steps) == ("sft", "tiny", 4)
