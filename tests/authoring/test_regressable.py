"""A gated metric that can never regress, or not by itself, is told before the first run."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.authoring.regressable import notes_of_no_regress, shows_little
from harness.golden.load import GateContent, gate_content
from harness.types import Check, GateSettings, GoldenCase, GoldenSet, Message

EQUALS = (Check(type="equals"),)


def set_of(n, clusters=None, *, name="s", repeat=1, checks=EQUALS, **gate):
    cases = tuple(
        GoldenCase(
            id=f"c{number}",
            set_name=name,
            messages=(Message(role="user", content="?"),),
            checks=checks,
            repeat=repeat,
            cluster=None if clusters is None else f"k{number % clusters}",
        )
        for number in range(n)
    )
    return GoldenSet(name=name, path=f"{name}.yaml", cases=cases, gate=GateSettings(**gate))


def notes(*sets, **levels):
    """All notes, by set, of sets that are gated together without probes."""
    return notes_of_no_regress(GateContent(own=sets), levels)


def beside_probes(golden_set):
    content = gate_content([], forgetting=True, known={Path(golden_set.path): golden_set})
    return notes_of_no_regress(content)[golden_set.name]


def test_four_clusters_can_never_regress():
    """All of four get worse by chance once in 16 times, all of five once in 32."""
    assert notes(set_of(40, 4)) == {
        "s": [
            "its pass rate can never regress: 4 clusters can all get worse by chance with a probability of "
            "0.0625: make it 5 clusters or more, or ask about these very cases (gate: {population: cases})"
        ]
    }
    for can in (set_of(40, 5), set_of(40, 4, population="cases"), set_of(40)):
        assert notes(can) == {"s": []}


def test_any_gated_metric_of_three_clusters_can_never_regress():
    """A set that only grades has no pass rate, and as few clusters show as little."""
    graded = set_of(30, 3, checks=(Check(type="rouge-l"),), metric_margins={"rouge-l": 0.05})
    (note,) = notes(graded)["s"]
    assert note.startswith(
        "rouge-l can never regress: 3 clusters can all get worse by chance with a probability of 0.125: "
        "make it 5 clusters or more"
    )
    assert notes(replace(graded, gate=replace(graded.gate, population="cases"))) == {"s": []}


@pytest.mark.parametrize("population", ["sample", "cases"])
def test_of_times_nobody_is_sent_to_a_question_that_they_are_never_asked(population):
    timed = set_of(30, 3, checks=(Check(type="latency"),), metric_margins={"latency": 0.05})
    (note,) = notes(replace(timed, gate=replace(timed.gate, population=population)))["s"]
    assert note.endswith("with a probability of 0.125: make it 5 clusters or more")


def test_of_two_metrics_each_has_half_of_the_level():
    """Five clusters have p = 0.031 at least, twice that is 0.0625; six have 0.0156."""
    five, six = (set_of(60, n, metric_margins={"equals": 0.05}) for n in (5, 6))
    rate, equals = notes(five)["s"]
    assert rate.startswith("its pass rate can never regress: 5 clusters")
    assert equals.startswith("equals can never regress")
    assert "a probability of 0.03125, which counts 2 times for 2 tests: make it 6 clusters or more" in rate
    # Beside one that can reject first, the whole level is left to the other.
    both = replace(six, gate=replace(six.gate, metric_margins={"rouge-l": 0.05}))
    graded = (*six.cases[0].checks, Check(type="rouge-l"))
    cases = tuple(replace(each, checks=graded) if each.cluster != "k5" else each for each in six.cases)
    (note,) = notes(replace(both, cases=cases))["s"]
    assert note.startswith("rouge-l can regress only beside another metric: 5 clusters")
    assert notes(six) == notes(set_of(60, 5)) == {"s": []}


def test_clusters_beside_one_with_most_cases_show_a_macro_f1_alone():
    """Of six all fall once in 64 times; without the one that has 20 of 39 cases it is five, and 3/32 is above 5 %."""
    check = Check(type="classification", options={"labels": ["red", "green"]})
    graded = set_of(39, checks=(check,), metric_margins={"macro-f1": 0.05, "classification": 0.05})

    def notes_of(sizes):
        clusters = [f"k{place}" for place, size in enumerate(sizes) for _ in range(size)]
        pairs = zip(graded.cases, clusters, strict=True)
        cases = tuple(replace(case, references=("red",), cluster=each) for case, each in pairs)
        return notes(replace(graded, cases=cases))["s"]

    (note,) = notes_of([20, 4, 4, 4, 4, 3])
    assert note.startswith(
        "macro-f1 can regress only beside another metric: 5 clusters beside the one with most cases can all get worse "
        "by chance with a probability of 0.03125, which counts 3 times for 3 tests: make it 7 clusters or more"
    )
    assert notes_of([19, 5, 4, 4, 4, 3]) == notes_of([20, 4, 4, 4, 4, 2, 1]) == []


@pytest.mark.parametrize("other", [5, 6, None])
def test_the_metrics_of_all_sets_count_together(other):
    """Two sets of five clusters can't regress whatever is lost; beside a larger one the small one can."""
    found = notes(set_of(25, 5), set_of(60, other, name="u"))
    verdict = "can never regress" if other == 5 else "can regress only beside another metric"
    assert found["s"] == [
        f"its pass rate {verdict}: 5 clusters can all get worse by chance with a probability of 0.03125, which "
        "counts 2 times for 2 tests: make it 6 clusters or more, or ask about these very cases (gate: "
        "{population: cases})"
    ]
    assert [each.partition(":")[0] for each in found["u"]] == ["its pass rate can never regress"] * (
        other == 5
    )


def test_one_metric_that_is_rejected_first_is_not_enough_for_two():
    """Of three tests with p = 0.0001, 0.031 and 0.031, Holm's second step leaves 0.025 to each of the others."""
    found = notes(set_of(25, 5), set_of(25, 5, name="t"), set_of(60, name="u"))
    assert [found[name][0].partition(":")[0] for name in "st"] == ["its pass rate can never regress"] * 2
    assert "which counts 3 times for 3 tests" in found["s"][0]


def test_what_is_known_exactly_shows_any_loss():
    """Of reproducible answers to exactly its cases each loss is sure, so that set is rejected first."""
    found = notes(set_of(25, 5), set_of(25, 5, name="u", population="cases"))
    assert found["u"] == []
    assert found["s"][0].startswith("its pass rate can regress only beside another metric")


def test_the_bundled_probes_count():
    """One set of five clusters has p = 0.03125 at least; beside the probes it counts twice, and that is 0.0625."""
    assert notes(set_of(25, 5)) == {"s": []}
    assert beside_probes(set_of(25, 5)) == [
        "its pass rate can regress only beside another metric: 5 clusters can all get worse by chance with a "
        "probability of 0.03125, which counts 2 times for 2 tests, with the bundled probes: make it 6 clusters "
        "or more, or ask about these very cases (gate: {population: cases})"
    ]
    assert beside_probes(set_of(25, 6)) == []
    (never,) = beside_probes(set_of(25, 4))
    assert never.startswith("its pass rate can never regress: 4 clusters")
    # A set of the project's replaces them.
    assert beside_probes(replace(set_of(25, 5), probes_forgetting=True)) == []


@pytest.mark.parametrize(("clusters", "little"), [(11, False), (10, True), (3, True)])
def test_ten_clusters_may_depend_on_what_else_is_gated(clusters, little):
    """They have p = 0.00098 at least, which a hundred tests make 0.098; of eleven it is half of that."""
    assert shows_little(GateContent(own=(set_of(60, clusters),)), {}) is little


def test_a_look_leaves_less_of_the_level():
    """Six clusters have p = 0.0156: more than the 0.01 that the last of many looks may have."""
    assert notes(set_of(60, 6), s=0.02) == {"s": []}
    (note,) = notes(set_of(60, 6), s=0.01)["s"]
    assert note.startswith("its pass rate can never regress: 6 clusters")
    assert "make it 7 clusters or more" in note


def test_three_single_cases_can_never_regress():
    """All of three are lost by chance with a mid-p value of 1/16, all of four with 1/32."""
    (note,) = notes(set_of(3))["s"]
    assert "3 cases can all get worse by chance with a probability of 0.0625: make it 4 cases or more" in note
    assert notes(set_of(4)) == {"s": []}


def test_one_case_with_two_answers_can_never_regress():
    """Both answers of one side, and none of the other, are one of six orders: a mid-p value of 1/12."""
    (note,) = notes(set_of(1, repeat=2))["s"]
    assert (
        "1 case can all get worse by chance with a probability of 0.0833333: make it 2 cases or more" in note
    )
    assert notes(set_of(1, repeat=3)) == notes(set_of(2, repeat=2)) == {"s": []}


def test_where_some_cases_may_regress_several_answers_show_no_more_than_one():
    """Then as many must get worse as better: four lost whole are 1/32 by mid-p, as with one answer, and three 1/16."""
    assert notes(set_of(3, repeat=5)) == notes(set_of(4, repeat=5, max_regressed=0.25)) == {"s": []}
    (note,) = notes(set_of(3, repeat=5, max_regressed=0.25))["s"]
    assert "3 cases can all get worse by chance with a probability of 0.0625: make it 4 cases or more" in note
    # Forgetting probes tolerate any, and a gated check has no test of its own answers.
    probes = replace(set_of(3, repeat=5), probes_forgetting=True)
    assert len(notes(probes)["s"]) == 1
    gated = set_of(3, repeat=5, metric_margins={"equals": 0.05})
    assert [each.partition(":")[0] for each in notes(gated)["s"]] == ["equals can never regress"]


@pytest.mark.parametrize(("threshold", "told"), [(None, 0), (0.5, 1)])
def test_a_gated_group_is_counted_unless_it_has_a_threshold(threshold, told):
    """Five counted cases have p = 0.0156 at least, within a third of the level; five numbers have 0.031."""
    group = Check(type="all-of", threshold=threshold, checks=EQUALS)
    found = beside_probes(set_of(5, checks=(group,), metric_margins={"all-of": 0.1}))
    assert [note.partition(":")[0] for note in found] == [
        "all-of can regress only beside another metric"
    ] * told
