"""``choice-likelihood`` on a tiny model beside the figures of EleutherAI's harness on the same one."""

import json
from pathlib import Path

import pytest

from harness.engines.base import LossRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GoldenCase, Message
from tests.metrics.choice_base import save_base

STORED = json.loads(Path(__file__).with_name("lm_eval_choices.json").read_text())
LM_EVAL, MARKED = STORED["questions"], STORED["marked_words"]


@pytest.fixture(scope="module")
def losses(tmp_path_factory):
    """The engine's loss on each option, by question and option."""
    return measured(save_base(tmp_path_factory.mktemp("base")), LM_EVAL)


def measured(base, questions):
    sides = {"candidate": describe_model(str(base))}
    engine = open_sides(sides, choose_plan("float32", "cpu", 4096, list(sides.values())))
    asked = [
        LossRequest(
            key=each["question"],
            side="candidate",
            text=f"{each.get('delimiter', ' ')}{choice}",
            messages=(Message(role="user", content=each["question"]),),
            options=tuple(f"{each.get('delimiter', ' ')}{option}" for option in each["choices"]),
        )
        for each in questions
        for choice in each["choices"]
    ]
    found = {}
    engine.losses(asked, found.update)
    return {(request.key, request.text.strip()): found[place] for place, request in enumerate(asked)}


def test_a_tokenizer_that_marks_words_and_a_prompt_that_ends_in_a_space_are_split_as_by_lm_eval(tmp_path):
    """Split on its own, an option would have a space too many, or be behind a space on its own."""
    losses = measured(save_base(tmp_path / "base", marks_words=True), MARKED)
    for each in MARKED:
        ours = [losses[each["question"], choice] for choice in each["choices"]]
        assert [-loss.nats_per_token * loss.tokens for loss in ours] == pytest.approx(
            each["log_likelihoods"], abs=0.01
        ), each["question"]


def test_the_options_log_likelihoods_are_lm_evals(losses):
    for each in LM_EVAL:
        ours = [losses[each["question"], choice] for choice in each["choices"]]
        assert [-loss.nats_per_token * loss.tokens for loss in ours] == pytest.approx(
            each["log_likelihoods"], abs=0.01
        )


@pytest.mark.parametrize(
    ("normalise", "theirs"), [("none", "acc"), ("characters", "acc_norm"), ("bytes", "acc_bytes")]
)
def test_the_choices_are_lm_evals(losses, normalise, theirs):
    cases = [
        GoldenCase(
            id=f"q{number}",
            set_name="choices",
            messages=(Message(role="user", content=each["question"]),),
            checks=(
                Check(
                    type="choice-likelihood",
                    value=f" {each['choices'][each['answer']]}",
                    options={
                        "choices": [f" {choice}" for choice in each["choices"]],
                        "normalise": normalise,
                    },
                ),
            ),
        )
        for number, each in enumerate(LM_EVAL)
    ]
    answer = Completion(text="", stop_reason="stop", prompt_tokens=1, completion_tokens=0, latency_s=0.1)
    results = score_cases(
        cases,
        {case.key: answer for case in cases},
        reference_losses={
            f"{case.key} (choices)": tuple(losses[each["question"], choice] for choice in each["choices"])
            for case, each in zip(cases, LM_EVAL, strict=True)
        },
    )
    assert [result.scores[0].value for result in results] == [each[theirs] for each in LM_EVAL]


def test_the_three_figures_differ_on_these_questions():
    """Otherwise one of them could stand for another."""
    figures = {tuple(each[name] for each in LM_EVAL) for name in ("acc", "acc_norm", "acc_bytes")}
    assert len(figures) == 3
