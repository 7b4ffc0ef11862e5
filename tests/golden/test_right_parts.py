"""Every fault of a set is told in one go: a fault in a case, a check or a key hides no other, and makes none."""

import pytest

from harness.errors import GoldenError
from harness.golden.load import load_golden_set

RIGHT = "  - {id: right, prompt: hi, checks: [{type: contains, value: x}]}\n"
FAULTY = """\
name: bad
descripton: typo
defaults: {checks: [{threshold: 1}]}
cases:
  - {id: a, prompt: hi, chekcs: [{type: contains, value: x}]}
  - {id: b, promt: hi, checks: [{type: contans, value: x}]}
  - {id: b, checks: [{type: regex, value: '['}]}
  - {id: d, prompt: 5, checks: [{type: contians}, {threshold: 3}, 7, {type: regex, value: '('}]}
  - {id: e, prompt: x, tags: 3, repeat: -1, checks: [{type: equals, value: x}]}
  - {id: f, prompt: '{{x}}', vars: 3, checks: [{type: contains, value: '{{x}}'}]}
  - {id: g, prompt: x, references: 3, checks: [{type: equals}]}
  - {prompt: '{{x}}', checks: [{type: contains, value: '{{x}}'}]}
  - 5
gate: {metrics: {nope: {margin: x}}, max_unscored: 7}
"""
KEYS = [
    "descripton",
    "defaults.checks[0].type",
    "cases[0].chekcs",
    "cases[1].promt",
    "cases[1].checks[0].type",
    "cases[2]",
    "cases[2].id",
    "cases[2].checks[0].value",
    "cases[3].prompt",
    "cases[3].checks[1].type",
    "cases[3].checks[2]",
    "cases[3].checks[0].type",
    "cases[3].checks[3].value",
    "cases[4].tags",
    "cases[4].repeat",
    "cases[5].vars",
    "cases[6].references",
    "cases[7].id",
    "cases[8]",
    "gate.metrics.nope.margin",
    "gate.max_unscored",
]


def faults_of(path, text):
    path.write_text(text)
    with pytest.raises(GoldenError) as raised:
        load_golden_set(path)
    return [fault.key for fault in raised.value.faults]


def test_all_faults_are_told_in_one_go_and_no_others(tmp_path):
    assert sorted(faults_of(tmp_path / "bad.yaml", FAULTY)) == sorted(KEYS)


@pytest.mark.parametrize("line", [line for line in FAULTY.splitlines() if line.startswith("  - ")])
def test_a_faulty_case_takes_no_other_with_it(tmp_path, line):
    other = "  - {id: last, prompt: x, checks: [{type: nope}]}\n"
    found = faults_of(tmp_path / "bad.yaml", f"name: bad\ncases:\n{RIGHT}{line}\n{other}")
    assert found[-1] == "cases[2].checks[0].type"
    assert not any(key.startswith("cases[0]") for key in found)


@pytest.mark.parametrize(
    ("reference", "why"),
    [("[" * 5000, "nested too deeply"), ("9" * 5000, "a number has thousands of digits")],
)
def test_a_reference_that_no_json_equals_is_told_in_plain_words(tmp_path, reference, why):
    path = tmp_path / "s.yaml"
    case = f"{{id: a, prompt: x, references: ['{reference}'], checks: [{{type: json-equals}}]}}"
    path.write_text(f"name: s\ncases:\n- {case}\n")
    with pytest.raises(GoldenError, match=rf"is not JSON: {why} \(case a\)"):
        load_golden_set(path)
