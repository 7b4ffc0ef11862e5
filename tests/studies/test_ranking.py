"""Several candidates are answered together, judged each, and ranked without overstating."""

import json
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.cli.main import app
from harness.comparison.gate import run_gate
from harness.errors import AdapterError, SettingsError
from harness.golden.load import load_golden_set
from harness.history.store import check_history, open_history
from harness.presentation.tables import render_ranking
from harness.run.cache import Cache
from harness.run.inputs import prepare
from harness.run.session import metric_facts
from harness.settings import Settings
from harness.studies.ranking import rank_models, rank_records
from harness.types import GateRecord, Outcome, Stability
from harness.types.golden import ALPHA

CASES = "\n".join(
    f"  - {{id: c{n}, prompt: what is w{n}, checks: [{{type: regex, value: 'w'}}]}}" for n in range(12)
)


@pytest.fixture
def adapters(tmp_path, tiny_model_dir, make_tiny_adapter):
    for name, spread in (("mild", 0.3), ("wild", 3.0)):
        make_tiny_adapter(tiny_model_dir, tmp_path / "adapters" / name, spread=spread)
    return tmp_path / "adapters"


@pytest.fixture
def golden(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(f"name: small\ngeneration: {{max_new_tokens: 4}}\ncases:\n{CASES}\n")
    return path


@pytest.fixture
def ranked(adapters, golden, tmp_path):
    """Ranks the adapters, or other models, on the golden set."""

    def rank(models=(), path=golden, **settings):
        chosen = Settings(
            model=tuple(models) or (str(adapters),), directory=str(tmp_path / "kept"), **settings
        )
        inputs = prepare(chosen, tmp_path)
        inputs = replace(inputs, noise=check_history(inputs.directory / "history.sqlite"))
        return rank_models(inputs, [load_golden_set(path)], Cache(None), lambda *_: None)

    return rank


@pytest.fixture
def command(adapters, golden, tmp_path):
    """Runs ``tunegate rank`` on the adapters and the golden set."""

    def invoke(*arguments, path=golden):
        kept = ["--golden", str(path), "--no-forgetting", "--directory", str(tmp_path / "kept")]
        return CliRunner().invoke(app, ["rank", str(adapters), *kept, *arguments])

    return invoke


def by_name(found):
    return {each.name: each for each in found}


def test_each_candidate_has_the_figures_of_its_own_gate(ranked, adapters):
    """Alone or together, a candidate gains the same, with the same interval."""
    mild = by_name(ranked())["mild"]
    (alone,) = ranked([str(adapters / "mild")])
    assert mild.gain.estimate == alone.gain.estimate
    assert (mild.cases, alone.cases) == (12, 12)
    assert mild.gain == alone.gain
    assert alone.gain.confidence == pytest.approx(0.90)


def test_the_front_holds_whoever_is_beaten_by_none(ranked):
    found = ranked()
    best = max(each.gain.estimate for each in found)
    assert [each.on_front for each in found] == [each.gain.estimate == best for each in found]
    assert [each.regressed for each in found] == sorted(each.regressed for each in found)


def test_a_directory_s_name_may_have_a_dot(ranked, adapters):
    """PEFT refuses adapters whose name has one."""
    (adapters / "wild").rename(adapters / "v1.2")
    assert set(by_name(ranked())) == {"mild", "v1.2"}


def test_margins_count_as_in_a_single_gate(ranked):
    """What loses every case is within a margin of all of them."""
    assert all(each.record.comparison.metrics[0].margin == 1.0 for each in ranked(margin=1.0))
    assert not any(each.regressed for each in ranked(margin=1.0))


def test_reruns_of_the_baseline_are_heeded_as_in_a_single_gate(ranked, golden, tmp_path):
    """A case that the baseline itself passed and failed is marked in each candidate's gate."""
    cases = load_golden_set(golden).cases
    with open_history(tmp_path / "kept" / "history.sqlite") as history:
        baseline = ranked()[0].record.baseline
        noted = {cases[0].key: Stability(passed=3, answers=5)}
        history.save_noise(baseline.model, "float32", cases, noted, metric_facts)
    assert [list(each.record.comparison.unstable) for each in ranked()] == [["small/c0"]] * 2


def test_each_candidate_s_divergence_from_the_baseline_is_measured(ranked, tmp_path):
    """The wild adapter moves the next word's probabilities further than the mild one."""
    path = tmp_path / "probes.yaml"
    path.write_text(
        f"name: probes\nprobes_forgetting: true\ngeneration: {{max_new_tokens: 4}}\ncases:\n{CASES}\n"
    )
    found = by_name(ranked(path=path))
    apart = {name: each.record.comparison.forgetting.divergence for name, each in found.items()}
    assert apart["wild"].low > apart["mild"].estimate > 0


def test_a_stored_run_can_be_what_all_are_compared_with(ranked, tmp_path):
    first = by_name(ranked())["mild"].record
    with open_history(tmp_path / "kept" / "history.sqlite") as history:
        history.save(first)
    found = by_name(ranked(baseline=first.run.id))
    assert found["mild"].gain.estimate == 0.0
    assert found["wild"].record.baseline.id == first.run.id


def test_a_model_that_is_not_to_be_compared_is_not_ranked(ranked):
    with pytest.raises(SettingsError, match="--gate-baseline none: several models are ranked"):
        ranked(baseline="none")


def test_the_command_keeps_each_gate_in_the_history(command, tmp_path):
    result = command()
    assert result.exit_code in {0, 1}, result.output
    with open_history(tmp_path / "kept" / "history.sqlite") as history:
        lines = history.list_runs()
        assert len(lines) == 2
        assert all(line.id in result.stdout for line in lines)
        assert (result.exit_code == 1) == any(line.verdict == "regress" for line in lines)


def test_the_command_is_told_by_opentelemetry_where_it_is_configured(command, monkeypatch):
    closed = []

    def opened(_, inputs):
        return SimpleNamespace(close=lambda records: closed.append((inputs.candidates, records)))

    monkeypatch.setattr("harness.run.open_telemetry.open_telemetry", opened)
    command()
    assert closed == []
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    result = command()
    ((candidates, records),) = closed
    assert set(records) == {each.name for each in candidates}
    assert all(record.run.id in result.stdout for record in records.values())


def test_the_command_says_over_how_many_cases_a_gain_is(command):
    assert "gain over n=12 cases" in " ".join(command().stdout.split())


def test_the_command_takes_two_models_or_more(adapters, golden, tmp_path):
    result = CliRunner().invoke(app, ["rank", str(adapters / "mild"), "--golden", str(golden)])
    assert isinstance(result.exception, AdapterError)
    assert "give two or more different models" in str(result.exception)


def test_the_command_asks_a_judge(command, judge_server, tmp_path, monkeypatch):
    """Judged checks are decided as in a single gate; without a judge they are refused, not errored."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    path = tmp_path / "judged.yaml"
    path.write_text(
        "name: judged\ngeneration: {max_new_tokens: 4}\ndefaults: {checks: [{type: llm-rubric, value: Good.}]}\n"
        "cases:\n  - {id: one, prompt: what is w1}\n  - {id: two, prompt: what is w2}\n"
    )
    missing = command(path=path)
    assert isinstance(missing.exception, SettingsError)
    assert "needs a judge: give --gate-judge" in str(missing.exception)
    result = command("--judge", judge_server.spec, path=path)
    assert result.exit_code == 0, result.output
    assert judge_server.bodies
    assert f"judge:  openai:scripted@{judge_server.url}" in result.stdout


def test_json_holds_every_gate(command, adapters):
    found = json.loads(command("--json").stdout)
    assert {ranked["record"]["run"]["model"]["label"] for ranked in found} == {
        str(adapters / "mild"),
        str(adapters / "wild"),
    }
    assert all(ranked["record"]["verdict"]["outcome"] for ranked in found)


@pytest.fixture
def ranked_outcomes(make_run, make_result):
    """Ranks candidates by the outcomes of their cases, which are by set, against a baseline's."""

    def run(name, outcomes_by_set):
        results = [
            make_result(f"{set_name}/{place}", outcome)
            for set_name, outcomes in outcomes_by_set.items()
            for place, outcome in enumerate(outcomes)
        ]
        made = make_run(results, run_id=name, probes=("probes",))
        return replace(made, model=replace(made.model, label=name))

    def rank(baseline, **candidates):
        before, records = run("baseline", baseline), {}
        for name, outcomes in candidates.items():
            candidate = run(name, outcomes)
            level = ALPHA / len(candidates)
            comparison, verdict = run_gate(candidate, before, margin=0.2, regress_alpha=level)
            records[name] = GateRecord(run=candidate, baseline=before, comparison=comparison, verdict=verdict)
        return rank_records(records)

    return rank


ERRORED = Outcome.ERRORED


def test_what_a_model_did_not_answer_puts_it_before_no_other(ranked_outcomes):
    """The share of ten cases is no larger gain than that of a hundred."""
    found = ranked_outcomes(
        {"s": [place >= 10 for place in range(100)]},
        gains={"s": [place >= 5 for place in range(100)]},
        few={"s": [True] * 10 + [ERRORED] * 90},
        none={"s": [ERRORED] * 100},
        equal={"s": [place >= 10 for place in range(100)]},
    )
    assert [each.name for each in found] == ["gains", "equal", "few", "none"]
    assert [each.on_front for each in found] == [True, False, False, False]
    assert [each.lacking for each in found] == [0, 0, 90, 100]
    assert found[2].gain.estimate == 1.0
    told = Console(width=200, file=(written := StringIO()))
    told.print(render_ranking(found, 200))
    text = " ".join(written.getvalue().split())
    assert "cases without a verdict count as failed for it, and in the order" in text
    assert (
        "10 passed, 90 errored; 90 that another model answered count as failed, "
        "and the 90 that the baseline passed as lost"
    ) in text


def test_each_model_that_did_not_pass_says_why(ranked_outcomes):
    """Four lost of four are 1/32 by mid-p, which regresses alone, and of two models counts twice."""
    found = ranked_outcomes({"s": [True] * 4}, one={"s": [False] * 4}, two={"s": [False] * 4})
    told = Console(width=400, file=(written := StringIO()))
    told.print(render_ranking(found, 400))
    for name in ("one", "two"):
        assert f"• {name}: s pass-rate is inconclusive: 1.000 → 0.000, drop +1.000 [" in written.getvalue()
    told = (
        "it can never regress: 4 cases can all get worse by chance with a probability of 0.03125, which counts 2 times "
        "for 2 models: make it 5 cases or more, or gate fewer models at once"
    )
    assert written.getvalue().count(told) == 2
    (alone,) = ranked_outcomes({"s": [True] * 4}, one={"s": [False] * 4})
    assert alone.regressed


def test_the_star_is_of_what_its_sentence_says(ranked_outcomes):
    """It is given to models that are equal, and to none that another equals in one figure and beats in the other."""
    half = {"s": [True] * 10 + [False] * 10}
    less = {"s": [True] * 9 + [False] * 11}
    found = ranked_outcomes(half, one=half, two=half, less=less)
    assert [(each.name, each.on_front) for each in found] == [("one", True), ("two", True), ("less", False)]
    told = Console(width=200, file=(written := StringIO()))
    told.print(render_ranking(found, 200))
    assert (
        "* no other model is at least as good in gain and kept, and better in one of them"
        in written.getvalue()
    )


def test_models_that_looks_ended_apart_are_ordered_by_what_all_were_asked(ranked_outcomes):
    """The gain of 20 cases was compared with that of 100: on those 20 the other model gained more."""
    found = ranked_outcomes(
        {"s": [False] * 4 + [True] * 96},
        early={"s": [True] + [False] * 3 + [True] * 16},
        whole={"s": [True] * 2 + [False] * 2 + [True] * 96},
    )
    assert [(each.name, each.on_front, each.uncommon) for each in found] == [
        ("whole", True, 80),
        ("early", False, 0),
    ]
    assert [each.gain.estimate for each in found] == pytest.approx([0.02, 0.05])
    told = Console(width=300, file=(written := StringIO()))
    told.print(render_ranking(found, 300))
    assert "in both, and in the order, only cases count that all models were asked" in written.getvalue()


def test_so_are_their_probes(ranked_outcomes):
    """Of the two that both were asked each kept one; beyond them one lost probes that the other never saw."""
    tasks = {"s": [True] * 20}
    found = ranked_outcomes(
        {**tasks, "probes": [True] * 20},
        early={**tasks, "probes": [True, False]},
        whole={**tasks, "probes": [True, False] + [False] * 8 + [True] * 10},
    )
    assert [(each.on_front, each.uncommon) for each in found] == [(True, 0), (True, 18)]
    assert [each.kept.estimate for each in found] == [0.5, 0.55]


def test_a_set_that_a_model_answered_nothing_of_counts_as_lost_for_it(ranked_outcomes):
    """No case of such a set can be compared, so its comparison has no row of it."""
    found = ranked_outcomes(
        {"a": [False] * 10, "b": [True] * 90},
        few={"a": [True] * 10, "b": [ERRORED] * 90},
        gains={"a": [True] * 10, "b": [place < 85 for place in range(90)]},
    )
    assert [(each.name, each.on_front, each.lacking) for each in found] == [
        ("gains", True, 0),
        ("few", False, 90),
    ]
    assert found[0].gain.estimate == pytest.approx(0.05)


def test_what_the_baseline_did_not_answer_counts_against_no_model(ranked_outcomes):
    """Of two candidates, one that answered such a case is not behind one that did not."""
    baseline = {"s": [True] * 19 + [ERRORED]}
    answers, errors = {"s": [True] * 20}, {"s": [True] * 19 + [ERRORED]}
    for candidates in ({"one": answers, "two": errors}, {"one": errors, "two": answers}):
        found = ranked_outcomes(baseline, **candidates)
        assert [(each.name, each.on_front, each.lacking) for each in found] == [
            ("one", True, 0),
            ("two", True, 0),
        ]


def test_what_no_model_answered_counts_against_none(ranked_outcomes):
    baseline = {"s": [True] * 20, "t": [True] * 20}
    half = {"s": [True] * 20, "t": [ERRORED] * 20}
    found = ranked_outcomes(baseline, one=half, two=half)
    assert [(each.on_front, each.lacking) for each in found] == [(True, 0), (True, 0)]


def test_what_the_baseline_failed_costs_nothing_where_it_was_not_answered(ranked_outcomes):
    """Each case without a verdict cost a whole one: ten that nobody could lose put a better model behind."""
    found = ranked_outcomes(
        {"s": [False] * 10 + [True] * 90},
        breaks={"s": [ERRORED] * 10 + [True] * 88 + [False] * 2},
        fails={"s": [False] * 10 + [True] * 87 + [False] * 3},
    )
    assert [(each.name, each.lacking, each.lacking_passed) for each in found] == [
        ("breaks", 10, 0.0),
        ("fails", 0, 0.0),
    ]
    told = Console(width=300, file=(written := StringIO()))
    told.print(render_ranking(found, 300))
    assert (
        "; 10 that another model answered count as failed, and none as lost: the baseline failed them too"
        in written.getvalue()
    )


def test_whoever_fails_a_case_is_never_behind_whoever_did_not_answer_it(ranked_outcomes):
    """Whatever the baseline did: the worst of an answer that is not known is a failed one."""
    for before in (True, False):
        found = ranked_outcomes(
            {"s": [before] * 5 + [True] * 15},
            open={"s": [ERRORED] * 5 + [True] * 15},
            fails={"s": [False] * 5 + [True] * 15},
        )
        assert [each.on_front for each in found] == [True, True]
        passing = ranked_outcomes(
            {"s": [before] * 5 + [True] * 15},
            open={"s": [ERRORED] * 5 + [True] * 15},
            passes={"s": [True] * 5 + [True] * 15},
        )
        assert [(each.name, each.on_front) for each in passing] == [("passes", True), ("open", False)]
