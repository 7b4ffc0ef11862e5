"""The losses of DPO and ORPO are those of their papers, computed by hand on a tiny model; each file shows its loss."""

import re
from pathlib import Path

import pytest
import torch
from torch.nn.functional import logsigmoid

from trainers.measure.answer_logps import mean_logps

# Answers of two lengths: what a batch pads must not count.
PAIRS = [
    {"prompt": "what is w3", "chosen": "one two w3 the cat", "rejected": "cat sat"},
    {"prompt": "what is the w5 on w6", "chosen": "one w5", "rejected": "cat sat on a mat"},
]


@pytest.fixture
def trainer_of(make_project, monkeypatch):
    """TRL's trainer of a method on the pairs, with an adapter that has learnt something."""
    from trainers.shared import preference_run

    seen = []
    monkeypatch.setattr(preference_run, "fit", lambda run, trainer: seen.append(trainer))

    def make(method, **settings):
        project = make_project(method, PAIRS, quantization="none", batch_size=2, **settings)
        assert project.train() == 2  # stopped before its first step
        trainer = seen[-1]
        torch.manual_seed(1)
        for name, parameter in trainer.model.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(0, 0.3)
        return trainer

    return make


def loss_of(trainer):
    batch = next(iter(trainer.get_train_dataloader()))
    return float(trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch)))


def log_probabilities(model, prompt, answer):
    """The log-probability of each of the answer's tokens, given the prompt."""
    ids = torch.tensor([prompt + answer])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
    return logits.gather(1, ids[0, 1:, None])[len(prompt) - 1 :, 0]


@pytest.mark.parametrize("method", ["orpo", "dpo"])
def test_virtual_tokens_of_both_kinds_begin_with_the_same_loss(trainer_of, method):
    """Both begin as one text, a prefix as its keys and values: a prompt's own logits are none of an answer's."""
    losses, held_out = [], []
    for kind in ("prefix", "prompt"):
        trainer = trainer_of(method, peft={"method": kind, "virtual_tokens": 3, "init_text": "the cat sat"})
        losses.append(loss_of(trainer))
        rows = [
            {key: [{"role": "user", "content": row[key]}] for key in ("prompt", "chosen", "rejected")}
            for row in PAIRS
        ]
        trainer.model.eval()
        held_out.append(mean_logps(trainer.model, trainer.processing_class, rows, "chosen"))
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert held_out[0] == pytest.approx(held_out[1], abs=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.2, 0.45])
def test_dpo_with_label_smoothing(trainer_of, smoothing):
    """-(1-e) log s(b d) - e log s(-b d), d the answers' difference in log-ratio to the reference."""
    trainer = trainer_of("dpo", beta=0.3, label_smoothing=smoothing)
    losses = []
    for row in trainer.train_dataset:

        def ratio(answer, row=row):
            learnt = log_probabilities(trainer.model, row["prompt_ids"], answer).sum()
            with trainer.model.disable_adapter():
                return learnt - log_probabilities(trainer.model, row["prompt_ids"], answer).sum()

        difference = ratio(row["chosen_ids"]) - ratio(row["rejected_ids"])
        right, wrong = logsigmoid(0.3 * difference), logsigmoid(-0.3 * difference)
        losses.append(-(1 - smoothing) * right - smoothing * wrong)
    assert loss_of(trainer) == pytest.approx(float(sum(losses)) / 2, abs=1e-5)


def test_orpo_learns_no_tokens_of_the_prompt(trainer_of):
    """The cross-entropy of the chosen answer given its prompt, less the odds ratio's weighted log-sigmoid."""
    trainer = trainer_of("orpo", beta=0.3)
    chosen, ratios = [], []
    for row in trainer.train_dataset:
        prompt = row["prompt_input_ids"]
        better, worse = (
            log_probabilities(trainer.model, prompt, row[f"{key}_input_ids"][len(prompt) :])
            for key in ("chosen", "rejected")
        )
        chosen.append(better)
        one, two = better.mean(), worse.mean()
        odds = (one - two) - (torch.log1p(-one.exp()) - torch.log1p(-two.exp()))
        ratios.append(logsigmoid(odds))
    expected = -torch.cat(chosen).mean() - 0.3 * torch.stack(ratios).mean()
    assert loss_of(trainer) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize(
    ("trl", "smoothing", "message"),
    [
        ({"loss_type": "hinge"}, 0.1, "label_smoothing: not read by trl.loss_type: hinge (allowed: aot"),
        ({"loss_type": ["sigmoid", "sft"]}, 0.1, "for DPO's own loss leave trl.loss_type out"),
        ({"loss_type": "exo_pair"}, 0.0, "label_smoothing: the loss exo_pair needs one above 0"),
        ({"loss_weights": [2.0]}, 0.1, "trl.loss_weights: label_smoothing sets them"),
        ({"label_smoothing": 0.1}, 0.0, "trl.label_smoothing: set by label_smoothing, next to base"),
    ],
)
def test_smoothing_that_no_loss_reads_is_refused(make_project, capsys, trl, smoothing, message):
    project = make_project("dpo", PAIRS, quantization="none", trl=trl, label_smoothing=smoothing)
    assert project.train() == 4
    assert message in capsys.readouterr().err


def test_losses_that_read_it_get_it(trainer_of):
    trainer = trainer_of("dpo", label_smoothing=0.1, trl={"loss_type": "robust"})
    assert (trainer.loss_types, trainer.loss_weights, trainer.label_smoothing) == (["robust"], [1.0], 0.1)


METHODS = Path(__file__).parents[3] / "trainers" / "methods"
# The recipe has no loss of its own; it names the files of its stages.
FILES = sorted(path for path in METHODS.glob("*.py") if path.stem not in {"__init__", "catalogue", "rlhf"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_begins_with_its_loss_its_paper_and_its_trainer(path):
    text = path.read_text()
    head, rest = text.split('"""', 2)[1:]
    assert re.search(r"^    L = ", head, re.M)
    assert re.search(r"arXiv:\d{4}\.\d{5}", head)
    assert "equation" in head or path.stem in {"rft", "rloo"}  # their papers' formulas are named otherwise
    named = re.search(r"TRL: ``(\w+)``", head)
    if named is None:
        assert path.stem == "ppo"
        assert "TRL has no PPO any more" in head
    else:
        assert named[1] in rest
