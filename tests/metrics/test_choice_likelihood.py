"""The option that a model finds likeliest."""

from dataclasses import replace

import pytest

from harness.golden.value_rules import TogetherError, check_together, likelihood_texts
from harness.metrics.definition import score_function
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.scoring import score_cases
from harness.types import (
    Check,
    Completion,
    ExecutionPlan,
    GoldenCase,
    Message,
    MetricError,
    ModelRef,
    Outcome,
    TextLoss,
)

LOSSES = {
    "Paris": TextLoss(passage="p", nats_per_token=1.0, tokens=2),
    "a small village in the north": TextLoss(passage="p", nats_per_token=0.5, tokens=6),
    "Rome": TextLoss(passage="p", nats_per_token=2.5, tokens=1),
}


def scored(request_for, losses, value, choices=tuple(LOSSES), **options):
    request = request_for("choice-likelihood", "anything", value=value, choices=list(choices), **options)
    (result,) = score_function("choice-likelihood")([replace(request, choice_losses=losses)])
    return result


@pytest.mark.parametrize(
    ("value", "options", "value_is"),
    [
        ("Paris", {}, 1),
        ("Rome", {}, 0),
        ("a small village in the north", {}, 0),
        ("a small village in the north", {"normalise": "bytes"}, 1),
        ("Paris", {"normalise": "bytes"}, 0),
    ],
)
def test_the_whole_likelihood_or_that_of_a_byte(request_for, value, options, value_is):
    assert scored(request_for, LOSSES, value, **options).value == value_is


def test_the_reason_names_the_likeliest(request_for):
    assert scored(request_for, LOSSES, "Rome").explanation == (
        "likeliest is 'Paris' (nats: 'Paris' 2.000, 'Rome' 2.500, 'a small vi' … ' the north' 3.000)"
    )


def test_a_tie_shows_no_choice(request_for):
    tied = {**LOSSES, "Rome": LOSSES["Paris"]}
    assert scored(request_for, tied, "Paris").value == 0
    assert scored(request_for, tied, "Rome").value == 0


def test_a_missing_loss_is_an_error(request_for):
    assert isinstance(scored(request_for, {"Paris": LOSSES["Paris"]}, "Paris"), MetricError)


def test_the_expected_option_is_one_of_them():
    with pytest.raises(TogetherError, match='"Oslo" is no choice'):
        check_together("choice-likelihood", "Oslo", {"choices": ["Rome", "Paris"]}, ())
    check_together("choice-likelihood", None, {"choices": ["Rome", "Paris"]}, ("Rome",))


def test_the_models_are_asked_for_the_losses_of_all_options():
    """Besides those on the references of a perplexity check; each option once."""
    checks = (
        Check(type="perplexity"),
        Check(type="choice-likelihood", options={"choices": ["four", "to"]}),
        Check(type="choice-likelihood", value="to", options={"choices": ["to", "three"]}),
    )
    case = GoldenCase(
        id="a", set_name="s", messages=(Message(role="user", content="q"),), references=("to",), checks=checks
    )
    assert likelihood_texts(case) == ("four", "to", "three")
    asked = []

    class Engine:
        plan = ExecutionPlan(engine="fake", dtype="float32", device="cpu", batch_tokens=1)

        def generate(self, requests, on_batch):
            on_batch(
                {
                    i: Completion(
                        text="x", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1
                    )
                    for i, _ in enumerate(requests)
                }
            )

        def losses(self, requests, on_batch):
            asked.extend((request.key, request.text) for request in requests)
            on_batch(
                {
                    i: TextLoss(passage=r.key, nats_per_token=1.0, tokens=len(r.text))
                    for i, r in enumerate(requests)
                }
            )

        def largest_logit_change(self, side):
            return 1.0

    sides = {"candidate": ModelRef(label="m", base_model="m", base_sha256="b")}
    with Cache(None) as cache:
        answers = answer_cases(
            sides, Engine.plan, [case], cache, lambda *_: None, open_engine=lambda *_: Engine()
        )
    assert asked == [
        ("s/a", "to"),
        ("s/a (choices)", "four"),
        ("s/a (choices)", "to"),
        ("s/a (choices)", "three"),
    ]
    given = answers["candidate"]
    (result,) = score_cases([case], given.completions, reference_losses=given.reference_losses)
    assert [score.value for score in result.scores][1:] == [1.0, 1.0]
    assert result.outcome is Outcome.PASSED


@pytest.mark.parametrize("wild", [float("nan"), float("inf")])
@pytest.mark.parametrize("choice", sorted(LOSSES))
def test_a_loss_that_is_no_number_is_no_choice(request_for, choice, wild):
    """Whichever option has it, and wherever it is in the list."""
    losses = {**LOSSES, choice: replace(LOSSES[choice], nats_per_token=wild)}
    found = scored(request_for, losses, "Paris")
    assert isinstance(found, MetricError)
    assert "no finite number" in found.error
