"""The probes of three levels: the files are what the tables say, and each check distinguishes right from wrong."""

from collections import Counter
from dataclasses import replace

import pytest

from harness.authoring.levels import (
    arithmetic,
    conversations,
    instructions,
    knowledge,
    languages,
    long_context,
    programs,
    reasoning,
    safety,
    structured_answers,
    word_problems,
)
from harness.authoring.levels.families import LEVELS, PLAIN
from harness.authoring.levels.seeded_rows import draws, row
from harness.authoring.levels.writing import all_families, cases_of, level_text
from harness.authoring.lint import lint_golden_set
from harness.golden.load import bundled_probes, level_directory, load_golden_set
from harness.run.scoring import Judging, score_cases
from harness.types import Completion, GoldenCase, Outcome, Permissions

FAMILIES = all_families()
SKILLS = {
    *("knowledge", "arithmetic", "word-problems", "reasoning", "instructions", "json", "tools", "code"),
    *("languages", "refusal", "over-refusal", "multi-turn", "long-context"),
}


@pytest.fixture(scope="module")
def cases() -> dict[str, GoldenCase]:
    """All cases by id; of those with turns, the last one alone."""
    loaded = [load_golden_set(level_directory() / f"{level}.yaml") for level in LEVELS]
    return {
        case.id: replace(case, turns=(), checks=tuple(check for check in case.checks if check.turn is None))
        for each in loaded
        for case in each.cases
    }


def outcomes(answers: dict[str, str], cases: dict[str, GoldenCase]) -> dict[str, Outcome]:
    done = {
        cases[name].key: Completion(
            text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.0
        )
        for name, text in answers.items()
    }
    judging = Judging(allowed=Permissions(code=True))
    results = score_cases([cases[name] for name in answers], done, judging=judging)
    return {result.case.id: result.outcome for result in results}


@pytest.mark.parametrize("level", LEVELS)
def test_the_files_are_what_the_tables_say(level):
    """Renew them with ``python -m harness.authoring.levels.writing``."""
    path = level_directory() / f"{level}.yaml"
    assert path.read_text(encoding="utf-8") == level_text(level, FAMILIES)
    golden_set = load_golden_set(path)
    assert golden_set.probes_forgetting
    assert [str(finding) for finding in lint_golden_set(golden_set)] == []


def test_there_are_enough_independent_families_of_each_level_and_skill(cases):
    assert len(cases) == sum(len(family.probes) for family in FAMILIES) >= 400
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) >= 200
    assert {case.cluster for case in cases.values()} == {family.name for family in FAMILIES}
    assert min(Counter(family.level for family in FAMILIES).values()) >= 80
    found = {level: {f.skill for f in FAMILIES if f.level == level} for level in LEVELS}
    assert found == dict.fromkeys(LEVELS, SKILLS)
    spoken = Counter(tag for family in FAMILIES if family.skill == "languages" for tag in family.tags)
    assert len(spoken) == 5
    assert min(spoken.values()) >= 7


def test_each_case_passes_with_its_right_answer(cases):
    right = {
        case["id"]: probe.right
        for family in FAMILIES
        for case, probe in zip(cases_of(family), family.probes, strict=True)
    }
    assert {name for name, found in outcomes(right, cases).items() if found is not Outcome.PASSED} == set()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_case_fails_with_each_of_its_wrong_answers(cases, number):
    wrong = {
        case["id"]: probe.wrong[number]
        for family in FAMILIES
        for case, probe in zip(cases_of(family), family.probes, strict=True)
        if number < len(probe.wrong)
    }
    assert number > 0 or set(wrong) == set(cases)
    assert {name for name, found in outcomes(wrong, cases).items() if found is not Outcome.FAILED} == set()


def test_an_answer_in_the_form_of_another_task_fails_everywhere(cases):
    """A fine-tune that answers all with its own JSON has lost these skills."""
    taught = {
        name: f'{{"name": "Ann", "answer": "{case.references[0][:20]!r}"}}' for name, case in cases.items()
    }
    assert {name for name, found in outcomes(taught, cases).items() if found is Outcome.PASSED} == set()


def test_another_seed_draws_other_numbers_and_leaves_families_in_place():
    again, other = all_families(), all_families(1)
    assert again == FAMILIES
    assert [family.name for family in other] == [family.name for family in FAMILIES]
    for module in (arithmetic, word_problems, reasoning, long_context):
        assert module.families(1) != module.families(2)
    for module in (knowledge, instructions, structured_answers, programs, languages, safety, conversations):
        assert module.families(1) == module.families(2)


def test_draws_depend_on_the_family_alone_and_differ():
    seeded = row(
        "sum",
        "easy",
        "{a} + {b} = {c}?",
        {"a": range(30), "b": range(30)},
        lambda a, b: a + b,
        c=lambda a, b: "",
    )
    found = draws(seeded, 3, 20)
    assert len(dict(found)) == 20
    assert len({answer for _, answer in found}) == 20
    assert draws(seeded, 3, 5) == found[:5]
    assert all(sum(map(int, ask.split(" =")[0].split(" + "))) == answer for ask, answer in found)


def test_a_drawn_question_does_not_show_its_answer_where_a_model_could_repeat_it():
    seeded = row("difference", "easy", "{a} - {b}?", {"a": range(9), "b": range(9)}, lambda a, b: a - b)
    assert any(str(answer) in ask for ask, answer in draws(seeded, 3, 15))
    assert not any(str(abs(answer)) in ask for ask, answer in draws(seeded, 3, 15, is_hidden=True))


def test_no_gate_asks_the_levels_by_itself(cases):
    bundled = [case for path in bundled_probes() for case in load_golden_set(path).cases]
    assert len(bundled) == 130
    assert not {case.key for case in bundled} & {case.key for case in cases.values()}
    assert PLAIN["value"] == "{"
