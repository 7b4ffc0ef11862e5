"""What is noticed of what servers say with their replies."""

from types import SimpleNamespace

import pytest

from harness.engines.base import CANDIDATE
from harness.engines.open import open_sides
from harness.engines.served.identity import fingerprint_of
from harness.engines.served.reports import Reports, used
from harness.errors import ModelError
from harness.types import ServerUse
from tests.engines.served.test_engine import answers, asked, plan_for, scripted_model

FIRST, SECOND = (fingerprint_of(digit * 64) for digit in "12")


def taken(reports, *fingerprints):
    for each in fingerprints:
        reports.take(SimpleNamespace(system_fingerprint=each, model="m", usage=None))
    return list(reports.fingerprints)


def test_hosts_of_many_have_their_own_fingerprints_and_that_is_said():
    """Hosted models answer from several configurations."""
    reports = [Reports("openai:a"), Reports("openai:b")]
    assert taken(reports[0], "fp_1", None, "fp_2", "fp_1") == ["fp_1", "fp_2"]
    assert taken(reports[1], "fp_3", "fp_3") == ["fp_3"]
    (note,) = used(ServerUse(), [], reports, "").notes
    assert note.startswith("openai:a had several fingerprints: fp_1, fp_2")


def test_two_models_are_not_one_that_changed():
    reports = [Reports("a", FIRST), Reports("b", SECOND)]
    assert taken(reports[0], FIRST, FIRST) + taken(reports[1], SECOND) == [FIRST, SECOND]
    assert used(ServerUse(), [], reports, "").notes == ()


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        (Reports("m", FIRST), [SECOND]),
        (Reports("m", FIRST), [FIRST, "fp_1"]),
        (Reports("m", FIRST), [FIRST, None]),
        (Reports("m"), [FIRST, SECOND]),
        (Reports("m"), [FIRST, None]),
        (Reports("m"), ["fp_1", FIRST]),
        (Reports("m", None, True), ["build-1", "build-2"]),
    ],
    ids=str,
)
def test_other_weights_end_the_run(reports, said):
    taken(reports, *said[:-1])
    with pytest.raises(ModelError, match=r"^m: other weights answered than before"):
        taken(reports, said[-1])
    assert "\n" not in said


def test_one_server_that_says_it_with_some_replies_only_is_one():
    assert taken(Reports("m", None, True), "build-1", None, "build-1") == ["build-1"]


def test_a_server_of_a_vouched_pool_may_say_nothing_of_weights():
    """The user says that it is one model; two that both say which they are can't be."""
    reports = Reports("m", is_pool=True)
    assert taken(reports, "build-1", FIRST, None, "build-1", FIRST) == ["build-1", FIRST]
    with pytest.raises(ModelError, match=f"fingerprint {SECOND}, and {FIRST} before"):
        taken(reports, SECOND)


def test_a_vouched_pool_of_a_server_that_signs_and_one_that_does_not_goes_on(judge_server, second_server):
    """The run ended at the first reply without a signature, and gating it once more ended there too."""
    judge_server.fields = {"system_fingerprint": FIRST}
    judge_server.answer = second_server.answer = lambda body: "good"
    model = scripted_model(judge_server, second_server.url)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=2, identity="release 7"))
    assert answers(engine, asked(*"abcdefgh")) == ["good"] * 8
    assert min(len(judge_server.bodies), len(second_server.bodies)) >= 3


def test_reasons_of_an_end_that_are_not_known_are_said():
    reports = Reports("openai:a")
    for reason in ("stop", "tired", "length", "tired", None, "bored"):
        reports.note_end(SimpleNamespace(finish_reason=reason))
    (note,) = used(ServerUse(), [], [reports], "").notes
    assert note == (
        "openai:a ended answers for a reason that is not known here (tired, bored): they are scored as whole ones"
    )
