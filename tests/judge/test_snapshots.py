"""Who a judge is today, by the names in its replies: new ones say it, else most of the stored ones."""

import pytest

from harness.judge.snapshots import Snapshots
from harness.types import JudgeReply


def snapshots(*stored, fresh=()):
    """Stored replies as ``name session``, and names of new ones."""
    found = Snapshots()
    for each in stored:
        name, _, session = each.partition(" ")
        found.add_stored(JudgeReply(text="", model=name, asked_in=session))
    for name in fresh:
        found.add(JudgeReply(text="", model=name))
    return found


def outdated(found, name, session=""):
    return found.is_outdated(JudgeReply(text="", model=name, asked_in=session))


def test_before_it_is_known_who_judges_no_stored_reply_is_another_s():
    found = snapshots("may 1", "august 2")
    assert not outdated(found, "may")
    assert found.names == {"may", "august"}


def test_a_new_reply_says_who_judges():
    found = snapshots("may 1", "may 1", fresh=["august"])
    assert outdated(found, "may")
    assert not outdated(found, "august")
    assert found.names == {"august"}
    found.add(JudgeReply(text="", model="may"))
    assert not outdated(found, "may")


def test_what_a_session_gave_together_with_a_new_reply_s_name_is_todays():
    """A server deals the questions to several models; what it gave before it dealt them so is another judge's."""
    found = snapshots("may 1", "may 2", "august 2", "may", fresh=["august"])
    assert [outdated(found, "may", session) for session in ("1", "2", "")] == [True, False, True]
    assert not outdated(found, "august", "3")
    assert found.names == {"may", "august"}
    # It is not handed on from session to session.
    assert outdated(snapshots("may 1", "june 1", "june 2", "august 2", fresh=["august"]), "may", "1")


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        (("may 1",), {"may"}),
        (("may 1", "may 1", "august 2"), {"may"}),
        # The later name of as many.
        (("august 2", "may 1"), {"may"}),
        # One session's replies are one judge's.
        (("may 1", "august 1", "july 2"), {"may", "august"}),
        (("may 1", "august 1", "august 2", "july 2"), {"may", "august", "july"}),
        # Those of earlier versions don't say in which session they were given.
        (("may", "may", "august"), {"may"}),
    ],
)
def test_most_stored_replies_say_it_where_nothing_is_asked(stored, names):
    found = snapshots(*stored)
    found.settle()
    assert found.names == names
    assert all(outdated(found, name) is (name not in names) for name in ("may", "august", "july"))


def test_what_was_settled_stays_until_a_reply_is_new():
    found = snapshots("may 1")
    found.settle()
    for session in "23":
        found.add_stored(JudgeReply(text="", model="august", asked_in=session))
    found.settle()
    assert outdated(found, "august")
    found.add(JudgeReply(text="", model="august"))
    found.settle()
    assert found.names == {"august"}


def test_without_a_reply_nobody_judges():
    found = snapshots()
    found.settle()
    assert found.names == set()
    assert not outdated(found, "may")
