"""Targets are at the right tokens, and the loss is the cross-entropy of what they say."""

import math

import pytest
import torch

from harness.engines.multitask.decode import Entity
from harness.engines.multitask.description import Task
from harness.errors import DataError
from trainers.data.rows import Examples
from trainers.multitask.config import MultitaskConfig
from trainers.multitask.features import IGNORED, check_rows, encode, task_loss
from trainers.multitask.network import encoder_parameters, new_network

TASKS = {
    "intent": Task(name="intent", kind="label", labels=("book", "call")),
    "names": Task(name="names", kind="entities", labels=("O", "B-city", "I-city")),
    "answer": Task(name="answer", kind="span", labels=("start", "end")),
}
CITY = {"text": "who is in oslo", "target": (Entity("city", 10, 14),)}
SPAN = {"text": "who is in?\n\nbo is in oslo.", "target": (9, 13), "answer": "oslo"}


@pytest.fixture(scope="module")
def network(tiny_encoder_dir):
    settings = {"base": str(tiny_encoder_dir), "output": "out", "max_length": 64, "max_answer_tokens": 8}
    task = {"name": "a", "kind": "span", "data": "x"}
    config = MultitaskConfig.model_validate({**settings, "tasks": [task]})
    return new_network(config, tiny_encoder_dir, TASKS, "cpu")


def tokens(network, batch, row=0):
    return network.tokenizer.convert_ids_to_tokens(batch["input_ids"][row].tolist())


def test_only_a_words_first_token_is_tagged(network):
    batch, targets = encode(network, TASKS["names"], [CITY])
    pairs = list(zip(tokens(network, batch), targets[0].tolist(), strict=True))
    assert pairs == [
        ("[CLS]", IGNORED), ("who", 0), ("is", 0), ("in", 0),
        ("o", 1), ("##s", IGNORED), ("##l", IGNORED), ("##o", IGNORED), ("[SEP]", IGNORED),
    ]  # fmt: skip


def test_padding_carries_no_tag(network):
    _, targets = encode(network, TASKS["names"], [CITY, {"text": "in", "target": ()}])
    assert targets[1].tolist() == [IGNORED, 0, *[IGNORED] * 7]


def test_a_span_is_told_by_its_first_and_last_token_in_the_passage(network):
    batch, targets = encode(network, TASKS["answer"], [SPAN])
    first, last = targets[0].tolist()
    found = tokens(network, batch)
    assert found[first : last + 1] == ["o", "##s", "##l", "##o"]
    assert found.index("[SEP]") < first


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("names", {"text": "who is in oslo", "target": (Entity("city", 11, 14),)}, "begins or ends inside a word"),
        ("answer", {**SPAN, "text": "who?\n\n" + "a" * 20, "target": (0, 9), "answer": "a" * 9}, "9 tokens .*max_answer_tokens: 8"),
        ("answer", {**SPAN, "target": (9, 9), "answer": "x"}, "the answer 'x' begins or ends inside a word"),
        ("intent", {"text": "book " * 80, "target": "book"}, "82 tokens, the model takes 64"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_encoded_is_named(network, tmp_path, task, row, message):
    examples = Examples(rows=[row], places=[(tmp_path / "rows.jsonl", 7)], sha256="")
    with pytest.raises(DataError, match=rf"rows.jsonl:7: .*{message}"):
        check_rows(network, TASKS[task], examples)


def test_a_heads_loss_is_that_of_guessing_when_it_knows_nothing(network):
    """With all scores equal: ln of the number of labels, or of the passage's tokens."""
    for head in network.heads.values():
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    batch, _ = encode(network, TASKS["answer"], [SPAN])
    passage = sum(part == 1 for part in batch.sequence_ids(0))
    with torch.no_grad():
        assert float(
            task_loss(network, TASKS["intent"], [{"text": "in", "target": "call"}])
        ) == pytest.approx(math.log(2))
        assert float(task_loss(network, TASKS["names"], [CITY])) == pytest.approx(math.log(3))
        assert float(task_loss(network, TASKS["answer"], [SPAN])) == pytest.approx(math.log(passage))


def test_all_of_the_encoder_is_trained_where_it_has_no_adapter(network):
    assert len(encoder_parameters(network, TASKS["intent"])) == len(list(network.encoder.parameters()))
