"""The overview says of each run and metric what is true of it: the newest run may be in no trend."""

from dataclasses import replace

from harness.studies.trend import trends_of_points
from harness.types import GateVerdict
from reports.site.digest import RunDigest
from reports.site.gathering import SiteData, SiteSource
from reports.site.states import headline, state_rows


def with_newest(data: SiteData, verdict: GateVerdict, metric: GateVerdict) -> SiteData:
    """The data, its newest run a partial one that has these verdicts."""
    last: RunDigest = data.runs[-1]
    line = replace(last.line, id="part", partial=True, verdict=str(verdict))
    figures = tuple(replace(each, verdict=metric) for each in last.figures)
    runs = (*data.runs, replace(last, line=line, figures=figures, points={}, why="a must-pass case failed"))
    return replace(data, runs=runs, trends=tuple(trends_of_points(run.points for run in runs)))


def test_the_newest_run_s_own_figures_say_what_regressed_in_it(source: SiteSource) -> None:
    """In the last whole run “orders” regressed; that is not so of a partial run after it, nor the other way round."""
    data = source.gather()
    passed = with_newest(data, GateVerdict.PASS, GateVerdict.PASS)
    tone, word, sentence = headline(passed, state_rows(passed))
    assert (tone, word) == ("pass", "PASS")
    assert ": no metric regressed." in sentence
    regressed = with_newest(data, GateVerdict.REGRESS, GateVerdict.REGRESS)
    assert "“orders” and “general” regressed." in headline(regressed, [])[2]
    other = with_newest(data, GateVerdict.REGRESS, GateVerdict.PASS)
    assert headline(other, [])[2].endswith(": a must-pass case failed.")


def test_a_state_is_dated_by_the_run_that_it_is_of(source: SiteSource) -> None:
    data = source.gather()
    first = replace(data, runs=data.runs[:1], trends=tuple(trends_of_points([data.runs[0].points])))
    assert {row.streak for row in state_rows(first)} == {"since the newest run, 2026-01-05"}
    later = with_newest(first, GateVerdict.PASS, GateVerdict.PASS)
    assert {row.streak for row in state_rows(later)} == {"since the last whole run of it, 2026-01-05"}
