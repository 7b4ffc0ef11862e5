"""What is noticed of what servers say with their replies."""

from types import SimpleNamespace

import pytest

from harness.engines.served.identity import fingerprint_of
from harness.engines.served.reports import Reports, used
from harness.errors import ModelError
from harness.types import ServerUse

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


def test_reasons_of_an_end_that_are_not_known_are_said():
    reports = Reports("openai:a")
    for reason in ("stop", "tired", "length", "tired", None, "bored"):
        reports.note_end(SimpleNamespace(finish_reason=reason))
    (note,) = used(ServerUse(), [], [reports], "").notes
    assert note == (
        "openai:a ended answers for a reason that is not known here (tired, bored): they are scored as whole ones"
    )
