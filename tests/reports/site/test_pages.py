"""The content of the pages over all runs: states, payloads, sizes, and what a hostile text can't do."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.history.store import open_history
from harness.studies.trend import Point, Trend, trends_of, trends_of_points
from harness.types import GateRecord, Interval, MetricFacts, MetricSummary
from harness.types.training import LOG_FILE
from reports.site import payloads
from reports.site.digest import digest_of
from reports.site.gathering import SiteSource, accepted_runs, check_trainings
from reports.site.pages import PAGES, render_page
from reports.site.states import change_text, headline, metric_title, run_rows, state_rows, value_text
from tests.studies.test_metric_change import PAIR, gated

ROOT = Path(__file__).parents[3]
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m{{ 7 * 7 }}'\""


def series(cases: str, falls: bool, higher_is_better: bool = False, steps: bool = False) -> Trend:
    """A metric over runs with these cases, whose means fall or stay, or fall once."""
    facts = {"perplexity": MetricFacts(kind="graded", higher_is_better=higher_is_better)}
    means = [1 - place / 10 if falls else 0.5 for place in range(len(cases))]
    means = [0.75 if place < 6 else 0.15 for place in range(len(cases))] if steps else means
    points = [
        Point(
            run_id=f"r{place}",
            started_at="2026-01-11T09:00:00+00:00",
            model="mine",
            summary=MetricSummary(
                metric="perplexity",
                n=9,
                mean=Interval(estimate=mean, low=mean, high=mean, confidence=0.9, method="t"),
            ),
            verdict=None,
            facts=facts,
            cases_sha256=each,
        )
        for place, (each, mean) in enumerate(zip(cases, means, strict=True))
    ]
    (found,) = trends_of_points({("set", "perplexity"): point} for point in points)
    return found


def test_other_cases_alone_are_nothing_worse() -> None:
    assert change_text(series("aabb", falls=False)) == ("its cases changed with run r2", False)
    assert change_text(series("aaaa", falls=False)) == ("", False)
    drifts = "drifts down (p=0.0028); its cases changed with run r3, which alone may be why"
    assert change_text(series("aaabbb", falls=True)) == (drifts, False)
    assert change_text(series("aaabbb", falls=True, higher_is_better=True)) == (drifts, True)
    text, is_worse = change_text(series("a" * 12, falls=True, higher_is_better=True))
    assert (text, is_worse) == ("drifts down (p=8.4e-09)", True)
    text, is_worse = change_text(series("aaaaaabbbbbb", falls=True, higher_is_better=True, steps=True))
    assert text.startswith("fell with run r6, 2026-01-11: 0.750 before, 0.150 since (")
    assert text.endswith("; its cases changed with run r6, which alone may be why")
    assert is_worse


def test_the_overview_says_what_is_worse_and_since_when(source: SiteSource) -> None:
    data = source.gather()
    rows = {row.name: row for row in state_rows(data)}
    assert rows["orders"].tone == "regress"
    assert rows["orders"].streak == "for 6 runs, since 2026-01-11"
    assert "fell with run 20260111-090000-0006" in rows["orders"].worse
    assert rows["orders"].accepted.startswith("87.5\u202f% [")
    assert rows["orders"].accepted.endswith("n=24 as “main”")
    assert not rows["general"].worse
    assert [row.name for row in state_rows(data)] == ["orders", "general"]
    tone, word, sentence = headline(data, state_rows(data))
    assert (tone, word) == ("regress", "REGRESS")
    assert "“orders” regressed" in sentence
    assert "Worse than in earlier runs: “orders”." in sentence


def test_changes_are_those_of_the_trend_study(source: SiteSource, project: Path) -> None:
    with open_history(project / ".tunegate" / "history.sqlite", to_read=True) as stored:
        lines = stored.list_runs(200)[::-1]
        expected = trends_of(stored.load_record(line.id) for line in lines)
    found = source.gather().trends
    assert [(trend.set_name, trend.p_change, trend.changed_at, trend.note) for trend in found] == [
        (trend.set_name, trend.p_change, trend.changed_at, trend.note) for trend in expected
    ]
    orders = next(
        trend for trend in payloads.trends_payload(source.gather())["trends"] if trend["set"] == "orders"
    )
    assert orders["change"] == 6
    assert orders["accepted"][0][:2] == ["main", "20260108-090000-0003"]
    assert all(len(point) == 6 and point[2] <= point[1] <= point[3] for point in orders["points"])


def test_each_run_has_its_figures_with_n_and_interval(source: SiteSource) -> None:
    rows = run_rows(source.gather())
    assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
    for row in rows:
        assert len(row.measured) == 2
        assert all(re.search(r"\d\u202f% \[[\d.]+, [\d.]+\] n=\d+$", each) for each in row.measured)
    assert [row.accepted for row in rows if row.accepted] == ["accepted as “main”"]


def test_cases_show_where_their_outcome_changed_and_store_each_text_once(source: SiteSource) -> None:
    data = source.gather()
    found = payloads.cases_payload(data, 2_000)
    assert len(found["texts"]) == len(set(found["texts"]))
    for key, signs, versions, prompt, shown in found["cases"]:
        assert len(signs) == len(versions) == len(data.runs)
        assert set(versions) == {"a"}
        for at, text, why in shown:
            case = data.runs[at].cases[key]
            assert case.sign == signs[at]
            assert found["texts"][text] == case.answer
            assert bool(why) == (case.sign == "f")
        places = [at for at, *_ in shown]
        changes = [at for at in range(1, len(signs)) if signs[at] != signs[at - 1]]
        assert places == sorted({0, *changes, len(signs) - 1})
        assert found["texts"][prompt] == data.runs[-1].cases[key].prompt


def test_a_case_that_was_edited_has_another_version(source: SiteSource) -> None:
    data = source.gather()
    key, case = next(iter(data.runs[-1].cases.items()))
    edited = replace(data.runs[-1], cases={**data.runs[-1].cases, key: replace(case, content="other")})
    found = payloads.compare_payload(replace(data, runs=(*data.runs[:-1], edited)))
    versions = next(row[2] for row in found["cases"] if row[0] == key)
    assert versions == "a" * 11 + "b"


def test_a_case_asked_with_other_values_of_the_template_has_another_version(
    invented: Callable[..., GateRecord], source: SiteSource
) -> None:
    line, record = source.gather().runs[0].line, invented(lost=1)
    values = {"enable_thinking": False}
    off = replace(record, run=replace(record.run, plan=replace(record.run.plan, chat_template_kwargs=values)))
    first, again, other = (digest_of(line, each, {}) for each in (record, record, off))
    for key, case in first.cases.items():
        assert again.cases[key].content == case.content != other.cases[key].content


def test_compared_cases_have_clusters_and_the_values_of_graded_metrics(source: SiteSource) -> None:
    """Of each run a place; a run without the case, or without a value, has none there."""
    data = source.gather()
    newest = data.runs[-1]
    key, case = next((key, case) for key, case in newest.cases.items() if key.startswith("orders/"))
    changed = replace(
        newest,
        cases={**newest.cases, key: replace(case, cluster="bob", values={"loss": 0.25})},
        lower_is_better=frozenset({"loss"}),
    )
    found = payloads.compare_payload(replace(data, runs=(*data.runs[:-1], changed)))
    place, row = next((place, row) for place, row in enumerate(found["cases"]) if row[0] == key)
    assert row[3:] == ["bob"]
    ((set_name, metric, sign, values),) = [each for each in found["graded"] if each[1] == "loss"]
    assert (set_name, metric, sign) == ("orders", "loss", -1)
    assert dict(values)[place] == [None] * 11 + [0.25]
    assert found["quantiles"][:2] == [6.31375, 2.91999]


@pytest.mark.parametrize("unit", [1e-10, 1e-6, 1.0, 1e8])
def test_drawn_figures_keep_their_digits_in_any_unit(source: SiteSource, unit: float) -> None:
    """What cost 0.000003 was drawn as nothing, and so was its fall."""
    data = source.gather()
    run = data.runs[0]
    figure = run.figures[0]
    drop = replace(figure.drop, estimate=0.123456 * unit, low=0.0123456 * unit, high=0.23 * unit)
    of_cost = replace(figure, metric="cost", drop=drop, margin=0.05 * unit)
    cases = {key: replace(case, values={"cost": 0.23456 * unit}) for key, case in run.cases.items()}
    changed = replace(data, runs=(replace(run, figures=(of_cost,), cases=cases),))
    found = payloads.compare_payload(changed)
    *_, ends, margin, _ = found["figures"][0][0]
    assert [end / unit for end in ends] == pytest.approx([0.123456, 0.0123456, 0.23], rel=1e-3)
    assert margin / unit == pytest.approx(0.05)
    values = [value for *_, of_set in found["graded"] for _, (value,) in of_set if value is not None]
    assert [value / unit for value in values] == pytest.approx([0.23456] * len(run.cases))


def test_gain_is_the_reverse_of_the_drop_and_forgetting_has_counts(source: SiteSource) -> None:
    data = source.gather()
    last = payloads.gains_payload(data)["points"][-1]
    figure = next(each for each in data.runs[-1].figures if each.set_name == "orders")
    (name, gain, low, high, n) = last["gains"][0]
    assert (name, n) == ("orders", 24)
    assert low <= gain <= high
    assert gain == pytest.approx(-figure.drop.estimate, abs=1e-4)
    retained, of, rate, *_ = last["kept"]
    assert rate == pytest.approx(retained / of, abs=1e-4)


def test_what_a_run_kept_is_told_of_the_base_or_of_whom_it_is(
    invented: Callable[..., GateRecord], source: SiteSource
) -> None:
    """Of an adapter that forgot half of the base, one as good as it kept all; both are gated against others."""
    line, record = source.gather().runs[0].line, invented(lost=1)
    assert record.comparison is not None
    assert record.comparison.forgetting is not None
    assert record.baseline is not None
    kept = record.comparison.forgetting.overall
    assert kept is not None
    half = replace(record.comparison.forgetting, overall=replace(kept, retained=30))
    shipped = replace(record.baseline.model, label="shipped", adapter_sha256="5" * 64)
    told = []
    for since, baseline in ((None, record.baseline.model), (half, shipped), (None, shipped), (None, None)):
        comparison = replace(record.comparison, forgetting_since_base=since)
        run = digest_of(line, replace(record, comparison=comparison), {}, baseline)
        (point,) = payloads.gains_payload(replace(source.gather(), runs=(run,)))["points"]
        told.append((point["kept"][0], point["since"], point["baseline"]))
    assert told == [
        (kept.retained, "the base", "smollm2"),
        (30, "the base", "shipped"),
        (kept.retained, "shipped", "shipped"),
        (kept.retained, "the baseline", ""),
    ]
    # Of the stored runs it is read without their baselines' answers.
    assert {point["since"] for point in payloads.gains_payload(source.gather())["points"]} == {"the base"}
    assert {run.baseline for run in source.gather().runs} == {"smollm2"}


def test_trainings_have_loss_reward_and_kl(source: SiteSource) -> None:
    trainings = payloads.trainings_payload(source.gather())["trainings"]
    assert len(trainings) == 6
    rewarded = next(each for each in trainings if len(each["curves"]) == 3)
    kl = rewarded["curves"]["KL to the reference, nats per token"]
    assert kl == ([*range(1, 16)], [step / 100 for step in range(1, 16)])
    assert ["reward", "0.200 [0.100, 0.300] n=24 → 0.700 [0.600, 0.800] n=24"] in rewarded["facts"]
    assert [run[2] for run in trainings[-1]["runs"]] == ["regress", "regress"]


def test_a_running_training_is_shown_from_its_directory(source: SiteSource, tmp_path: Path) -> None:
    work = tmp_path / "new.work"
    work.mkdir()
    lines = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": 1.0}]
    (work / LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = replace_trainings(source, (tmp_path,)).gather()
    last = payloads.trainings_payload(found)["trainings"][-1]
    assert last["label"] == str(tmp_path / "new")
    assert last["curves"] == {"Training loss, nats per token": ([1, 3], [2.0, 1.0])}
    assert last["facts"] == [["state", "running or interrupted"]]


def replace_trainings(source: SiteSource, trainings: tuple[Path, ...]) -> SiteSource:
    return SiteSource(history=source.history, project=source.project, limit=200, trainings=trainings)


def test_pairs_with_another_models_answers_are_another_trend(make_run, make_result, tmp_path: Path) -> None:
    """The pages do not load the baselines' answers, and know whose they are."""
    records = [gated(make_run, make_result, n, PAIR, 0.7, 7 if n < 3 else None) for n in range(5)]
    with open_history(tmp_path / "history.sqlite") as stored:
        for each in records:
            stored.save(each)
    found = SiteSource(history=tmp_path / "history.sqlite", project=tmp_path, limit=9).gather().trends
    assert list(found) == trends_of(records)
    assert [len(each.points) for each in found if each.metric == "pairwise"] == [3, 2]


def test_a_directory_without_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no training here"):
        check_trainings([tmp_path])


@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_text_is_only_a_text(
    name: str, invented: Callable[..., GateRecord], spoiled: Callable, days: Callable, tmp_path: Path
) -> None:
    with open_history(tmp_path / "history.sqlite") as stored:
        stored.save(days(invented(lost=2), 1))
        stored.save(days(spoiled(invented(lost=2), HOSTILE), 2, HOSTILE))
    page = render_page(
        name, SiteSource(history=tmp_path, project=tmp_path / HOSTILE.replace("/", "")[:40], limit=9).gather()
    )
    assert "<img" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert page.count("</script>") == (1 if name == "index.html" else 2)
    assert "script-src &#39;sha256-" in page
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)


def test_a_damaged_run_and_a_damaged_baseline_are_named_and_left_out(
    invented: Callable[..., GateRecord], days: Callable, tmp_path: Path
) -> None:
    import sqlite3

    path = tmp_path / "history.sqlite"
    with open_history(path) as stored:
        for number in (1, 2):
            stored.save(days(invented(lost=1), number))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gates SET facts = '{}' WHERE run_id LIKE '20260106%'")
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "main.json").write_text("{")
    data = SiteSource(history=path, project=tmp_path, limit=9).gather()
    assert [run.line.id for run in data.runs] == ["20260107-090000-0002"]
    assert len(data.problems) == 2
    assert "20260106-090000-0001" in data.problems[0]
    assert "main.json" in data.problems[1]
    assert "main.json" in render_page("index.html", data)


def test_a_run_that_was_read_is_not_read_again(source: SiteSource) -> None:
    first, second = source.gather(), source.gather()
    assert all(a is b for a, b in zip(first.runs, second.runs, strict=True))


def test_equal_texts_of_all_runs_are_kept_once(
    invented: Callable[..., GateRecord], source: SiteSource
) -> None:
    texts: dict[str, str] = {}
    line = source.gather().runs[0].line
    one, two = (digest_of(line, invented(lost=1), texts) for _ in range(2))
    assert all(one.cases[key].answer is two.cases[key].answer for key in one.cases)


def test_intervals_are_named_by_the_confidence_that_they_have(source: SiteSource) -> None:
    """A gate's means have 90 %, at looks more; 95 % was written above them all."""

    def at(interval: Interval, confidence: float) -> Interval:
        return replace(interval, confidence=confidence)

    data = source.gather()
    told = (
        lambda data: render_page("index.html", data),
        lambda data: payloads.compare_payload(data)["confidence"],
        lambda data: payloads.gains_payload(data)["confidence"],
        lambda data: payloads.trends_payload(data)["trends"][0]["confidence"],
    )
    for wanted, shares in (("90 %", (0.9, 0.9)), ("90 to 98 %", (0.9, 0.98))):
        runs = [
            replace(
                run,
                figures=tuple(
                    replace(each, candidate=at(each.candidate, shares[place > 0])) for each in run.figures
                ),
                retention=run.retention
                and replace(run.retention, rate=at(run.retention.rate, shares[place > 0])),
                by_skill=(),
                points={
                    name: replace(
                        point,
                        summary=replace(point.summary, mean=at(point.summary.mean, shares[place > 0])),
                    )
                    for name, point in run.points.items()
                },
            )
            for place, run in enumerate(data.runs)
        ]
        changed = replace(data, runs=tuple(runs), trends=tuple(trends_of_points(run.points for run in runs)))
        page, *others = (each(changed) for each in told)
        assert f"Each mean with its {wanted} interval" in page
        assert others == [wanted] * 3
    scripts = [*(ROOT / "reports" / "html" / "templates" / "site").iterdir()]
    assert [path.name for path in scripts if "95 %" in path.read_text(encoding="utf-8")] == []


def test_figures_in_words() -> None:
    assert metric_title("orders", "pass-rate") == "orders"
    assert metric_title("orders", "rouge-l") == "orders rouge-l"
    assert value_text(0.5, "pass-rate") == "50.0\u202f%"
    assert value_text(0.5, "rouge-l") == "0.500"
    assert accepted_runs(Path("/nowhere"), []) == []
