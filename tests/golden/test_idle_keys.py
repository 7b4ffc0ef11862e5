"""Each key under ``gate:`` that does nothing in its set, and the same key where it acts."""

import pytest

from harness.golden.idle_keys import KEY_RULES, GateContext, idle_keys
from harness.golden.load import load_golden_set

CHECKED, GRADED = "{type: exact-match}", "{type: levenshtein}"
METRICS = "metrics: {levenshtein: {margin: 0.1}}"


def loaded(tmp_path, gate, *, checks=GRADED, more=""):
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"name: mine\ngate: {{{gate}}}\n"
        f"cases: [{{id: one, prompt: Hi., references: [Hi], checks: [{checks}]{more}}}]\n",
        encoding="utf-8",
    )
    return load_golden_set(path)


DRAWN = ", generation: {temperature: 1}"


@pytest.mark.parametrize(
    ("gate", "idle", "acting"),
    [
        (f"margin: 0.1, {METRICS}", {}, {"checks": f"{CHECKED}, {GRADED}"}),
        ("max_regressed: 0", {"checks": CHECKED}, {"checks": CHECKED, "more": f"{DRAWN}, repeat: 2"}),
        (f"population: cases, {METRICS}", {"more": DRAWN}, {}),
        ("population: cases, metrics: {latency: {margin: 5}}", {"checks": "{type: latency}"}, None),
        (
            "population: cases, metrics: {llm-reference: {margin: 0.5}}",
            {"checks": "{type: llm-reference}"},
            None,
        ),
        (
            "population: cases, metrics: {all-of: {margin: 0.5}}",
            {
                "checks": "{type: all-of, threshold: 0.5, checks: [{type: llm-rubric, value: Kind.}, {type: is-json}]}"
            },
            {
                "checks": "{type: all-of, threshold: 0.5, checks: [{type: equals, value: Hi}, {type: is-json}]}"
            },
        ),
    ],
)
def test_a_key_that_does_nothing_is_told_from_one_that_acts(tmp_path, gate, idle, acting):
    (found,) = idle_keys(loaded(tmp_path, gate, **idle))
    assert found.key.removeprefix("gate.").partition(":")[0] in gate
    if acting is not None:
        assert idle_keys(loaded(tmp_path, gate, **acting)) == []


def test_greedy_answers_vary_too_where_they_do_not_reproduce(tmp_path):
    golden_set = loaded(tmp_path, f"population: cases, {METRICS}")
    (found,) = idle_keys(golden_set, GateContext(exact=False))
    assert found.key == "gate.population: cases"
    assert idle_keys(golden_set, GateContext(exact=True)) == []


def test_a_noise_record_lets_a_single_answer_show_a_regression(tmp_path):
    golden_set = loaded(tmp_path, "max_regressed: 0", checks=CHECKED)
    assert idle_keys(golden_set, GateContext(recorded=["mine/one"])) == []
    assert idle_keys(golden_set, GateContext(recorded=["mine/other"]))


def test_every_rule_is_tested_above():
    assert len(KEY_RULES) == 5


def test_a_plain_set_has_none(tmp_path):
    assert idle_keys(loaded(tmp_path, "margin: 0.1", checks=CHECKED)) == []
