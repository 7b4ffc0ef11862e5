"""The examples' training data and held-out golden sets: varied, verifiable, and apart from each other."""

import importlib.util
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.authoring.lint import lint_golden_set
from harness.authoring.passable import why_it_never_passes, why_metrics_never_pass
from harness.golden.load import is_no_set, load_golden_set
from harness.run.scoring import score_cases
from harness.types import Completion, GoldenCase, Outcome

EXAMPLES = Path(__file__).parents[1] / "examples"
GOLDEN = sorted(path for path in EXAMPLES.glob("*/golden/*.yaml") if not is_no_set(path))
JUDGED = ["handbook"]
# All checks, also those without references: test_example_checks.py runs it.
OWN_TEST = ["shop"]
MADE = ["arithmetic", "extraction", "helpdesk", "support"]


def made_by(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"make_{name}", EXAMPLES / name / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (EXAMPLES / path).read_text(encoding="utf-8").splitlines()]


def cases(name: str) -> tuple[GoldenCase, ...]:
    (path,) = (EXAMPLES / name / "golden").glob("*.yaml")
    return load_golden_set(path).cases


def passes(case: GoldenCase, text: str) -> bool:
    """Whether a case passes with an answer; ROUGE, which decides nothing, is left out."""
    deciding = tuple(check for check in case.checks if not check.type.startswith("rouge"))
    answer = Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.0)
    case = replace(case, checks=deciding)
    return score_cases([case], {case.key: answer})[0].outcome is Outcome.PASSED


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_no_golden_set_of_an_example_has_a_lint_finding(path):
    assert [str(finding) for finding in lint_golden_set(load_golden_set(path))] == []


@pytest.mark.parametrize(
    "path", [path for path in GOLDEN if path.stem not in [*JUDGED, *OWN_TEST]], ids=lambda path: path.stem
)
def test_each_reference_passes_its_own_case_and_silence_passes_none(path):
    for case in load_golden_set(path).cases:
        assert passes(case, case.references[0]), case.id
        assert not passes(case, ""), case.id
        assert not passes(case, case.messages[-1].content), case.id


@pytest.mark.parametrize("name", MADE)
def test_the_files_are_what_their_script_writes(name):
    """Renew them with ``python examples/NAME/make_data.py``."""
    for file, content in made_by(name).files().items():
        assert (EXAMPLES / name / file).read_text(encoding="utf-8") == content, file


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("arithmetic", ["train.jsonl", "held_out.jsonl"]),
        ("extraction", ["train.jsonl"]),
        ("support", ["pairs.jsonl", "pairs_held_out.jsonl"]),
    ],
)
def test_no_prompt_stands_twice_and_no_golden_prompt_is_trained_on(name, files):
    prompts = [row["prompt"].strip() for file in files for row in rows(f"{name}/{file}")]
    assert len(set(prompts)) == len(prompts)
    assert len(rows(f"{name}/{files[0]}")) >= 200
    asked = {case.messages[-1].content.strip() for case in cases(name)}
    assert not asked & {row["prompt"].strip() for row in rows(f"{name}/{files[0]}")}
    assert len(asked) >= 40


# ---- arithmetic


def test_every_step_of_every_solution_is_right():
    """Each line calculates what it says, and the last result is the answer."""
    for row in rows("arithmetic/train.jsonl") + rows("arithmetic/held_out.jsonl"):
        *steps, last = row["completion"].split("\n")
        assert len(steps) == row["steps"]
        for step in steps:
            left, operator, right, result = re.fullmatch(r"(\d+) ([-+*/]) (\d+) = (\d+)", step).groups()
            done = {
                "+": int(left) + int(right),
                "-": int(left) - int(right),
                "*": int(left) * int(right),
                "/": int(left) / int(right),
            }
            assert done[operator] == int(result)
        assert steps[-1].endswith(f"= {row['answer']}")
        assert last == f"Answer: {row['answer']}"


def test_every_number_of_a_problem_is_in_its_story():
    """What the first step needs can be read; no problem asks for more than is told."""
    for row in rows("arithmetic/train.jsonl") + rows("arithmetic/held_out.jsonl"):
        story = row["prompt"].split("\n", 1)[1]
        told = re.findall(r"\d+", story)
        steps = row["completion"].split("\n")[:-1]
        results = [step.rpartition("= ")[2] for step in steps]
        for step in steps:
            for number in re.findall(r"\d+", step.partition("=")[0]):
                assert number in told or number in results, (story, step)


def test_every_story_occurs_and_answers_are_spread():
    module, train = made_by("arithmetic"), rows("arithmetic/train.jsonl")
    for story in (story for kind in module.TRAIN_STORIES.values() for story in kind):
        expression = re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(story))
        assert any(re.search(expression, row["prompt"]) for row in train), story
    assert max(Counter(row["answer"] for row in train).values()) <= len(train) * 0.07
    assert {row["steps"] for row in train} == {1, 2, 3}


@pytest.mark.parametrize("wrong", ["Answer: 15.5", "Answer: 150", "15", "The answer might be Answer: 16"])
def test_a_problem_fails_with_a_wrong_or_unmarked_number(wrong):
    case = next(case for case in cases("arithmetic") if case.id == "bees-clover")
    assert passes(case, "9 + 6 = 15\nAnswer: 15.")
    assert not passes(case, wrong)


# ---- support


def test_faults_and_topics_are_balanced():
    pairs = rows("support/pairs.jsonl")
    assert set(Counter(pair["fault"] for pair in pairs).values()) == {52}
    assert set(Counter(pair["topic"] for pair in pairs).values()) == {16}


def test_the_pairs_show_a_style_and_not_a_length():
    """Every good reply is short, and taking the longer reply of a pair is often wrong."""
    pairs = rows("support/pairs.jsonl") + rows("support/pairs_held_out.jsonl")
    assert max(len(pair["chosen"].split()) for pair in pairs) <= 40
    longer = sum(len(pair["chosen"]) > len(pair["rejected"]) for pair in pairs) / len(pairs)
    assert 0.35 <= longer <= 0.75
    assert len({pair["chosen"] for pair in pairs}) == len(pairs)
    assert len({pair["rejected"] for pair in pairs}) >= len(pairs) * 0.98


def test_held_out_pairs_are_what_the_golden_set_asks():
    """So a held-out preference and a gated reply are about the same messages."""
    held_out = {pair["prompt"]: pair for pair in rows("support/pairs_held_out.jsonl")}
    for case in cases("support"):
        assert case.references == (held_out[case.messages[-1].content.strip()]["chosen"],), case.id


def test_hardly_a_rejected_reply_passes():
    held_out = {pair["prompt"]: pair for pair in rows("support/pairs_held_out.jsonl")}
    passed = [
        case.id
        for case in cases("support")
        if passes(case, held_out[case.messages[-1].content.strip()]["rejected"])
    ]
    assert passed == []


def test_thumbs_are_half_up_and_true_to_the_pairs():
    pairs = {pair["prompt"]: pair for pair in rows("support/pairs.jsonl")}
    thumbs = rows("support/thumbs.jsonl")
    assert Counter(row["label"] for row in thumbs) == {True: 104, False: 104}
    for row in thumbs:
        assert pairs[row["prompt"]]["chosen" if row["label"] else "rejected"] == row["completion"]


# ---- extraction


def test_every_bill_says_what_its_answer_holds():
    """Vendor, number and total are in the text; so does the date in one of its spellings."""
    module = made_by("extraction")
    asked = [(row["prompt"], row["completion"]) for row in rows("extraction/train.jsonl")]
    asked += [(case.messages[-1].content, case.references[0]) for case in cases("extraction")]
    for text, written in asked:
        answer = json.loads(written)
        assert list(answer) == ["vendor", "invoice", "date", "total", "currency"]
        day = date.fromisoformat(answer["date"])
        assert any(spell(day) in text for spell in module.DATES.values()), text
        assert {answer["vendor"], answer["invoice"], f"{answer['total']:.2f}"} <= parts(text, answer), text
        assert answer["currency"] in text or module.CURRENCIES[answer["currency"]] in text, text


def parts(text, answer):
    """Those of the answer's texts that the bill contains."""
    return {one for one in (answer["vendor"], answer["invoice"], f"{answer['total']:.2f}") if one in text}


def test_vendors_and_layouts_of_the_golden_bills_are_held_out():
    module, held_out = made_by("extraction"), cases("extraction")
    vendors = {json.loads(case.references[0])["vendor"] for case in held_out}
    assert len(vendors) == len(held_out) == 42
    assert not vendors & set(module.VENDORS)
    assert set(Counter(case.cluster for case in held_out).values()) == {3}


def test_a_bill_with_one_wrong_field_fails():
    case = cases("extraction")[0]
    right = json.loads(case.references[0])
    for key, wrong in {
        "vendor": "Amberley",
        "invoice": "4417",
        "date": "03.05.2024",
        "total": "310.00",
    }.items():
        assert not passes(case, json.dumps({**right, key: wrong})), key


# ---- help desk


@pytest.mark.parametrize("task", ["intent", "entities", "answer"])
def test_the_help_desks_golden_cases_are_neither_trained_nor_held_out(task):
    def asked(row):
        return f"{row['question']}\n\n{row['passage']}" if task == "answer" else row["text"]

    train, held_out = (
        {asked(row) for row in rows(f"helpdesk/{task}{name}.jsonl")} for name in ("", "_held_out")
    )
    golden = {
        case.messages[-1].content
        for case in load_golden_set(EXAMPLES / "helpdesk/golden" / f"{task}.yaml").cases
    }
    assert (len(train), len(held_out), len(golden)) == (300, 100, 80)
    assert not train & (held_out | golden)
    assert not held_out & golden


def test_no_sentence_pattern_of_the_help_desk_is_both_trained_and_asked():
    module = made_by("helpdesk")
    parts = [module.SENTENCES, module.TICKETS, *module.INTENTS.values(), *module.QUESTIONS.values()]
    for trained, asked in parts:
        assert not {one.strip() for one in trained.split("|")} & {one.strip() for one in asked.split("|")}


def test_each_task_of_the_help_desk_has_all_its_labels():
    intents = Counter(row["label"] for row in rows("helpdesk/intent.jsonl"))
    assert len(intents) == 8
    assert min(intents.values()) >= 25
    types = Counter(one["type"] for row in rows("helpdesk/entities.jsonl") for one in row["entities"])
    assert min(types[name] for name in ("person", "place", "device", "date")) >= 60
    assert any(not row["entities"] for row in rows("helpdesk/entities.jsonl"))


@pytest.mark.parametrize(
    "path", [each for each in GOLDEN if each.stem not in OWN_TEST], ids=lambda path: path.stem
)
def test_an_equal_model_can_pass_each_example(path):
    golden_set = load_golden_set(path)
    assert why_it_never_passes(golden_set) is None
    assert why_metrics_never_pass(golden_set) == []
