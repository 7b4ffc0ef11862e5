"""Judges on this machine whose questions are dealt to workers reply as in one process."""

from dataclasses import replace

import pytest

from harness.engines.workers.functions import Dealer
from harness.errors import JudgeError, ModelError
from harness.judge.dealing import JudgeReplies
from harness.judge.open import open_judge
from harness.judge.panel import Panel
from harness.judge.spec import parse_spec
from harness.run.cache import Cache
from harness.types import Message
from tests.engines.workers.in_process import InProcess
from tests.judge.test_local_judges import questions, reward_dir  # noqa: F401 # a fixture


@pytest.fixture(params=["local", "reward"])
def spec(request, tiny_model_dir):
    directory = tiny_model_dir if request.param == "local" else request.getfixturevalue("reward_dir")
    return f"{request.param}:{directory}"


def replies_of(spec, dealer, asked=()):
    with open_judge(spec, Cache(None)) as judge:
        Panel([judge], dealer)
        return judge.ask_all(asked or questions())


def test_the_replies_are_those_of_one_process(spec):
    workers = InProcess()
    alone, dealt = replies_of(spec, None), replies_of(spec, Dealer(lambda: workers))
    assert [(each.text, each.model, each.data) for each in alone] == [
        (each.text, each.model, each.data) for each in dealt
    ]
    assert workers.batches


def test_a_question_that_can_not_be_answered_is_an_error_of_its_own(spec):
    if spec.startswith("reward"):
        long = replace(questions()[0], task="faithfulness")
    else:
        long = replace(questions()[0], messages=(Message(role="user", content="w1 " * 4000),))
    replies = replies_of(spec, Dealer(InProcess), [questions()[0], long])
    assert [isinstance(each, JudgeError) for each in replies] == [False, True]


def test_where_no_worker_is_left_each_question_is_an_error(spec):
    class LostWorkers:
        def compute(self, *_):
            from harness.errors import EngineError

            raise EngineError("no node of the Ray cluster is left")

    replies = replies_of(spec, Dealer(LostWorkers))
    assert all("no node of the Ray cluster is left" in str(each) for each in replies)


def test_other_files_on_a_node_are_refused(spec):
    with pytest.raises(ModelError, match="has other files there than here"):
        JudgeReplies((parse_spec(spec), "0" * 12))
