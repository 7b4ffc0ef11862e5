"""A session with several looks asks in a random order, and stops where the verdict is known."""

from collections import Counter
from dataclasses import fields, replace

import pytest

from harness.baselines.target import model_target, run_target
from harness.comparison.regressed_cases import ResampledAnswers
from harness.errors import AllFailedError, CasesFailedError
from harness.golden.answering_order import answering_order
from harness.run.cache import Cache
from harness.run.conclusion import answered_run, conclude_session
from harness.run.inputs import Candidate
from harness.run.looks import _joined_answers, cases_by_look, run_looks
from harness.run.resampling import resample
from harness.run.scoring import Judging
from harness.run.session import run_session
from harness.run.verification import verify
from harness.run.workload import Answers
from harness.statistics.paired_binary import Trials
from harness.types import NOTHING_ALLOWED, ChangedCasesFinding, Check, GateVerdict, Outcome, ServerUse

N = 400


@pytest.fixture
def many(golden_set, case_of):
    """A set of 400 cases with two tags."""

    def build(name="s", n=N, **changes):
        checks = (Check(type="contains", value="/"),)
        cases = [case_of(f"{name}{number:03}", checks=checks) for number in range(n)]
        cases = [
            replace(case, set_name=name, tags=("even" if number % 4 else "fourth",), **changes)
            for number, case in enumerate(cases)
        ]
        return replace(golden_set, name=name, cases=tuple(cases))

    return build


@pytest.fixture
def look(inputs_of, models, opened):
    """Runs a session with five looks; gives the session and the candidate's record."""

    def start(*golden_sets, looks=5, **rest):
        inputs = inputs_of(model_target(models["baseline"]), looks=looks)
        collected = sum(len(each.cases) for each in golden_sets)
        keys = {case.key for each in golden_sets for case in each.cases}
        with Cache(None) as cache:
            session = run_looks(
                inputs,
                golden_sets,
                cache,
                lambda *_: None,
                Judging(),
                collected=collected,
                only={"candidate": keys},
                **rest,
            )
        return session, conclude_session(session, collected=collected)[""]

    return start


def in_doubt(golden_set):
    """What the sides answer wrongly, so that twenty cases are lost and ten gained."""
    lost, gained = golden_set.cases[::20], golden_set.cases[5::40]
    return {("candidate", case.key) for case in lost} | {("baseline", case.key) for case in gained}


def test_the_order_is_random_but_always_the_same(many):
    golden_set = many()
    order = [case.key for unit in answering_order(golden_set) for case in unit]
    assert order == [case.key for unit in answering_order(golden_set) for case in unit]
    assert sorted(order) == [case.key for case in golden_set.cases] != order


def test_a_further_case_leaves_the_order_of_its_tag(many):
    golden_set = many()

    def fourths(cases):
        order = answering_order(replace(golden_set, cases=cases))
        return [case.key for unit in order for case in unit if case.tags == ("fourth",)]

    without = [case for case in golden_set.cases if case.key != "s/s100"]
    assert [key for key in fourths(golden_set.cases) if key != "s/s100"] == fourths(without)


def test_a_cluster_is_answered_whole(many):
    golden_set = many()
    cases = [replace(case, cluster=str(number // 4)) for number, case in enumerate(golden_set.cases)]
    parts = cases_by_look(replace(golden_set, cases=tuple(cases)), 5)
    assert [len(part) for part in parts] == [80] * 5
    assert all(count == 4 for part in parts for count in Counter(case.cluster for case in part).values())


def test_each_part_has_its_share_of_each_tag(many):
    for part in cases_by_look(many(), 5):
        tags = Counter(case.tags[0] for case in part)
        assert abs(tags["fourth"] - 20) <= 1
        assert abs(tags["even"] - 60) <= 1


def test_a_set_about_its_own_cases_is_answered_whole(many):
    golden_set = many()
    gate = replace(golden_set.gate, population="cases")
    parts = cases_by_look(replace(golden_set, gate=gate), 5)
    assert [len(part) for part in parts] == [N, 0, 0, 0, 0]


def test_few_cases_are_not_looked_at_before_the_end(many):
    assert [len(part) for part in cases_by_look(many(n=19), 5)] == [0, 0, 0, 0, 19]
    assert [len(part) for part in cases_by_look(many(n=50), 5)] == [0, 20, 10, 10, 10]


def test_an_equal_model_passes_after_a_part(look, many, opened):
    session, record = look(many())
    assert record.verdict.outcome is GateVerdict.PASS
    assert len(record.run.results) == len(opened.asked) / 2 < N / 2
    (looks,) = record.run.looks
    assert (looks.answered, looks.cases, looks.planned) == (len(record.run.results), N, 5)
    assert record.run.stopped
    assert record.run.partial
    assert record.run.selected == N
    (stopped,) = [each.data for each in record.verdict.findings if each.kind == "stopped"]
    assert (stopped.look, stopped.answered, stopped.passed) == (looks.look, looks.answered, True)
    assert not [each for each in record.verdict.findings if each.kind == "partial-run"]
    # The models were opened once for all looks, and the baseline answered the same cases.
    assert opened.opened == [("candidate", "baseline")]
    assert [result.key for result in session.results["baseline"]] == [
        result.key for result in record.run.results
    ]


def test_a_harmful_model_is_refused_after_the_first_part(look, many, opened):
    golden_set, other = many(), many("t")
    opened.wrong = {("candidate", case.key) for case in golden_set.cases[: N // 2]}
    _, record = look(golden_set, other)
    assert record.verdict.outcome is GateVerdict.REGRESS
    assert {each.set_name: each.answered for each in record.run.looks} == {"s": 80, "t": 80}
    found = {each.set_name: each.data for each in record.verdict.findings if each.kind == "stopped"}
    assert (found["s"].passed, found["s"].look) == (False, 1)


def test_what_stays_in_doubt_is_answered_whole(look, many, opened):
    golden_set = many()
    opened.wrong = in_doubt(golden_set)
    _, record = look(golden_set)
    assert len(record.run.results) == N
    assert not record.run.stopped
    assert record.run.looks[0].fractions == (0.2, 0.4, 0.6, 0.8, 1.0)
    # The interval is that of the last look, wider than a gate's that looks once.
    (row,) = [row for row in record.comparison.metrics if row.metric == "pass-rate"]
    assert row.drop.confidence == pytest.approx(1 - 2 * 0.01918, abs=1e-5)


def test_a_decided_set_is_asked_no_further_while_another_is(look, many, opened):
    golden_set, other = many(), many("t")
    opened.wrong = in_doubt(golden_set)
    _, record = look(golden_set, other)
    assert {each.set_name: each.stopped for each in record.run.looks} == {"s": False, "t": True}


def test_a_set_that_no_look_has_reached_has_its_part_of_the_level(look, many, opened):
    """Else the others spend the whole level before its turn, and its own part of it comes on top."""
    golden_set = many(n=100)
    few = [many(name, n=19) for name in "tuvw"]
    first = cases_by_look(golden_set, 5)[0]
    opened.wrong = {("candidate", case.key) for case in first[:7]}
    # p = 2^-8 = 0.0039 of seven lost cases is below 1.48 %, a first look's part of 5 %, and above 0.30 %, of 1 %.
    _, alone = look(golden_set)
    assert (alone.verdict.outcome, alone.run.looks[0].look) == (GateVerdict.REGRESS, 1)
    _, record = look(golden_set, *few)
    assert {each.set_name: each.look for each in record.run.looks}["s"] > 1


def test_answers_of_two_looks_are_joined_with_all_that_is_told_of_their_cases(plan):
    shared = {"text_losses": (), "divergences": {}, "plan": plan, "computed": True}
    names = [each.name for each in fields(Answers) if each.name not in shared]
    one, other = (Answers(**shared, **{name: {key: name} for name in names}) for key in "ab")
    joined = _joined_answers(one, other)
    assert {name: getattr(joined, name) for name in names} == {name: {"a": name, "b": name} for name in names}


def test_the_text_of_the_latest_look_counts(plan):
    """What failed on it before may be there now; the notes on it are in the plan."""
    cases = {
        each.name: {} for each in fields(Answers) if each.name not in {"text_losses", "plan", "computed"}
    }
    one = Answers(**cases, text_losses=("a",), plan=replace(plan, server=ServerUse(notes=("1 is left out",))))
    other = Answers(**cases, text_losses=("a", "b"), plan=replace(plan, server=ServerUse()))
    joined = _joined_answers(one, other)
    assert (joined.text_losses, joined.plan.server.notes) == (("a", "b"), ())


@pytest.mark.parametrize("lost", [{"candidate"}, {"candidate", "baseline"}])
def test_a_model_that_fails_at_a_later_look_leaves_its_cases_errored(look, many, opened, monkeypatch, lost):
    """As a server that is gone: what was answered at the first look stays."""
    golden_set = many()
    opened.wrong = in_doubt(golden_set)
    whole, asked = opened.generate, []

    def generate(requests, on_batch):
        bad = {n: "no reply" for n, one in enumerate(requests) if asked and one.side in lost}
        asked.append(len(requests))
        good = [n for n in range(len(requests)) if n not in bad]
        whole(
            [requests[n] for n in good], lambda batch: on_batch({good[n]: each for n, each in batch.items()})
        )
        if bad:
            raise CasesFailedError(bad) if good else AllFailedError("no reply", bad)

    monkeypatch.setattr(opened, "generate", generate)
    _, record = look(golden_set)
    outcomes = Counter(result.outcome for result in record.run.results)
    assert outcomes[Outcome.PASSED] >= 60
    assert outcomes[Outcome.ERRORED] >= 80
    assert record.verdict.outcome is GateVerdict.INCONCLUSIVE


def test_must_pass_cases_are_answered_first_and_count_in_their_turn(look, many, opened):
    golden_set = many()
    cases = [replace(case, must_pass=number % 40 == 0) for number, case in enumerate(golden_set.cases)]
    _, record = look(replace(golden_set, cases=tuple(cases)))
    asked = {result.key for result in record.run.results}
    assert {case.key for case in cases if case.must_pass} <= asked
    (looks,) = record.run.looks
    assert len(looks.out_of_turn) == len(asked) - looks.answered > 0
    (row,) = [row for row in record.comparison.metrics if row.metric == "pass-rate"]
    assert row.n == looks.answered
    assert record.run.selected == N
    opened.wrong = {("candidate", cases[0].key)}
    _, record = look(replace(golden_set, cases=tuple(cases)))
    assert record.verdict.outcome is GateVerdict.REGRESS
    assert len(record.run.results) < N / 2


def test_a_regression_that_new_answers_do_not_show_stops_nothing(look, many, opened, monkeypatch):
    """Cases in doubt are resampled at the look that finds them; the gate then goes on."""
    golden_set = many()
    opened.wrong = {("candidate", case.key) for case in golden_set.cases[: N // 10]}
    resampled = []

    def resampling(session, opens):
        def fresh(keys):
            resampled.append(set(keys))
            return ResampledAnswers(
                trials={key: Trials(3, 3, 3, 3) for key in keys}, times=3, judge_requests=0, duration_s=0.0
            )

        return fresh

    _, record = look(golden_set, resampling=resampling)
    assert len(record.run.results) == N
    assert len(resampled) > 1
    assert all(keys <= {case.key for case in golden_set.cases[: N // 10]} for keys in resampled)


def test_a_look_confirms_with_the_models_that_are_loaded(look, many, opened):
    """A GPU, and the nodes of a cluster, have no room for them twice."""
    golden_set = many()
    opened.wrong = {("candidate", case.key) for case in golden_set.cases[: N // 10]}

    def resampling(session, opens):
        def fresh(keys):
            with Cache(None) as cache:
                return resample(session, keys, 2, cache, lambda *_: None, Judging(), open_engine=opens)

        return fresh

    _, record = look(golden_set, resampling=resampling)
    assert record.verdict.outcome is GateVerdict.REGRESS
    assert any(key.endswith("#2") for _, key in opened.asked)
    assert len(opened.opened) == 1


def test_skipped_cases_are_scored_as_skipped(look, many):
    golden_set = many()
    cases = (replace(golden_set.cases[0], skip="later"), *golden_set.cases[1:])
    _, record = look(replace(golden_set, cases=cases))
    assert record.run.results[0].outcome is Outcome.SKIPPED
    assert record.run.looks[0].cases == N - 1
    assert record.run.selected == N


def test_a_part_that_cannot_be_judged_yet_is_no_reason_to_refuse(look, many, opened):
    """Of the first fifth of the probes the baseline passes none, of all it passes some."""
    probes = replace(many(), probes_forgetting=True)
    early = {case.key for case in cases_by_look(probes, 5)[0]}
    opened.wrong = {(side, key) for side in ("candidate", "baseline") for key in early}
    _, record = look(probes)
    assert record.verdict.outcome is GateVerdict.PASS
    assert len(record.run.results) > len(early)


def test_each_of_several_models_stops_by_itself(inputs_of, models, many, opened):
    """The harmful one is asked the first part, the equal one until it passes; the baseline answers for both."""
    golden_set = many()
    opened.wrong = {("candidate-1", case.key) for case in golden_set.cases[::2]}
    sides = ("candidate-1", "candidate-2")
    adapters = {side: replace(models["candidate"], label=side, adapter_sha256=side) for side in sides}
    inputs = inputs_of(model_target(models["baseline"]), candidates=sides[:1], looks=5)
    candidates = tuple(Candidate(side=side, name=side, model=adapters[side]) for side in sides)
    keys = {case.key for case in golden_set.cases}
    with Cache(None) as cache:
        session = run_looks(
            replace(inputs, candidates=candidates),
            [golden_set],
            cache,
            lambda *_: None,
            Judging(),
            collected=N,
            only=dict.fromkeys(sides, keys),
        )
    records = conclude_session(session, collected=N)
    assert records["candidate-1"].verdict.outcome is GateVerdict.REGRESS
    assert records["candidate-2"].verdict.outcome is GateVerdict.PASS
    assert {side: len(session.results[side]) for side in session.results} == {
        "candidate-1": 80,
        "candidate-2": 160,
        "baseline": 160,
    }


@pytest.mark.parametrize("looks", [1, 5])
def test_cases_that_were_replaced_are_counted_at_a_look_too(
    inputs_of, models, many, opened, make_run, tmp_path, looks
):
    """A look has answered a part of the set, and the earlier cases that are gone are none that it has yet to ask."""
    before, golden_set = many(), many()
    cases = [
        replace(case, id=f"new-{case.id}") if number % 4 else case
        for number, case in enumerate(golden_set.cases)
    ]
    golden_set = replace(golden_set, cases=tuple(cases))
    with Cache(None) as cache:
        whole = run_session(inputs_of(model_target(models["baseline"])), [before], cache, lambda *_: None)
        stored = answered_run(
            models["baseline"],
            whole.answers["baseline"],
            whole.results["baseline"],
            [before],
            make_run([]).environment,
            started_at=whole.started_at,
            duration_s=1.0,
            collected=N,
        )
        inputs = inputs_of(run_target(stored), looks=looks)
        asked = inputs, [golden_set], cache, lambda *_: None, Judging()
        only = {"candidate": {case.key for case in cases}}
        session = run_session(*asked, only=only) if looks == 1 else run_looks(*asked, collected=N, only=only)
    record = conclude_session(session, collected=N)[""]
    assert record.verdict.outcome is GateVerdict.INCONCLUSIVE
    (finding,) = [each.data for each in record.verdict.findings if isinstance(each.data, ChangedCasesFinding)]
    assert (finding.cases, finding.n) == (300, N)
    assert verify(record, tmp_path, NOTHING_ALLOWED).recomputed is GateVerdict.INCONCLUSIVE


def test_a_stored_baseline_has_answers_to_whatever_is_asked(inputs_of, models, many, opened, make_run):
    golden_set = many()
    keys = {case.key for case in golden_set.cases}
    with Cache(None) as cache:
        inputs = inputs_of(model_target(models["baseline"]))
        whole = run_session(inputs, [golden_set], cache, lambda *_: None)
        before = answered_run(
            models["baseline"],
            whole.answers["baseline"],
            whole.results["baseline"],
            [golden_set],
            make_run([]).environment,
            started_at=whole.started_at,
            duration_s=1.0,
            collected=N,
        )
        session = run_looks(
            inputs_of(run_target(before), looks=5),
            [golden_set],
            cache,
            lambda *_: None,
            Judging(),
            collected=N,
            only={"candidate": keys},
        )
    record = conclude_session(session, collected=N)[""]
    assert record.verdict.outcome is GateVerdict.PASS
    assert len(record.run.results) == 160
    assert not record.comparison.unpaired
