"""The heads of a multi-task model answer golden cases, as text that ordinary checks read."""

import json
import shutil
import subprocess
import sys

import pytest

from harness.engines.base import CANDIDATE, GenerationRequest, LossRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.errors import AdapterError, EngineError, ModelError
from harness.types import GenerationSettings, Message

ASKED = [
    ("intent", "book the room"),
    ("names", "call Anna Berg in Oslo, is it so?"),
    ("answer", "Who lives in Oslo?\n\nAnna Berg lives in Oslo. Bo lives in Rome."),
    ("intent", "where is the long and winding room that i asked for"),
    ("answer", "Where?\n\nIn Rome."),
    ("names", "in"),
]


def request(task, text):
    return GenerationRequest(
        key=f"set/{task}",
        side=CANDIDATE,
        messages=(Message(role="system", content="Not read."), Message(role="user", content=text)),
        settings=GenerationSettings(task=task),
    )


def opened(directory, batch_tokens=4096):
    model = describe_model(str(directory))
    return open_sides({CANDIDATE: model}, choose_plan("float32", "cpu", batch_tokens, [model]))


def answers(engine, asked=ASKED):
    completions = {}
    engine.generate([request(task, text) for task, text in asked], completions.update)
    return [completions[index] for index in range(len(asked))]


@pytest.fixture(scope="module")
def engine(tiny_multitask_dir):
    return opened(tiny_multitask_dir)


def test_each_head_answers_in_its_own_form(engine):
    given = [completion.text for completion in answers(engine)]
    assert given[0] in {"book", "call", "where"}
    for (_, text), said in [(ASKED[1], given[1]), (ASKED[5], given[5])]:
        assert all(one["text"] in text and one["type"] in {"city", "person"} for one in json.loads(said))
    assert given[2]
    assert given[2] in ASKED[2][1].partition("\n\n")[2]
    assert given[4] in "In Rome."


def test_the_batch_does_not_change_an_answer(engine, tiny_multitask_dir):
    """Padding is masked out: one row at a time says the same."""
    alone = [completion.text for one in ASKED for completion in answers(engine, [one])]
    assert [completion.text for completion in answers(engine)] == alone
    narrow = opened(tiny_multitask_dir, batch_tokens=1)
    assert [completion.text for completion in answers(narrow)] == alone


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        (None, "book", r"set/None names no task \(allowed under generation.task: intent, names, answer\)"),
        ("mood", "book", "set/mood asks for the task 'mood'"),
        ("answer", "Who lives here?", "set/answer can't be put to the task answer: it needs a question"),
        ("intent", "book " * 200, "set/intent is too long: 202 tokens, the model takes 128"),
    ],
)
def test_a_case_that_no_head_can_answer_is_named(engine, task, text, message):
    with pytest.raises(AdapterError, match=message):
        answers(engine, [(task, text)])


def test_text_cannot_be_scored(engine):
    with pytest.raises(EngineError, match="set/a: a multi-task model predicts no text"):
        engine.losses([LossRequest(key="set/a", side=CANDIDATE, text="b")], lambda batch: None)


def test_describing_one_imports_no_torch(tiny_multitask_dir):
    program = (
        "import sys; from harness.engines.open import describe_model; import harness.engines.multitask.engine;"
        f"describe_model({str(tiny_multitask_dir)!r}); assert not {{'torch', 'transformers'}} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_files_that_change_before_they_are_loaded_are_refused(tiny_multitask_dir, tmp_path):
    directory = shutil.copytree(tiny_multitask_dir, tmp_path / "heads")
    model = describe_model(str(directory))
    path = directory / "heads.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelError, match="heads: its files changed before they were loaded"):
        open_sides({CANDIDATE: model}, choose_plan("float32", "cpu", 4096, [model]))
