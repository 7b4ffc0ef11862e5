import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SettingsError
from harness.presentation.sentences import sentence_of
from harness.settings import load_settings
from harness.statistics.paired_binary import mcnemar_p
from harness.types import Finding, GateVerdict, MustPassFinding, NoteFinding, Verdict
from trainers.callback.asking import prepare_asking
from trainers.callback.looks import (
    Look,
    best_look,
    facts_of,
    first_unanswered,
    is_sure,
    judge_look,
    level_at,
    looks_in,
    numbers_of,
)


def look(step: int, outcome: str = "pass", gain: float = 0.0, level: float = 0.01) -> Look:
    return Look(
        step=step,
        level=level,
        outcome=GateVerdict(outcome),
        stops=outcome == "regress",
        gain=gain,
        run_id=f"run-{step}",
        baseline_id="base",
        reason="",
        figures={"gate/kept/value": 0.5, "gate/kept/drop": -gain},
    )


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=30, unique=True),
    st.sampled_from(["pocock", "obrien-fleming"]),
)
def test_whatever_the_saves_no_more_than_the_level_is_spent(steps, shape):
    """Irregular saves, and a training that is stopped and resumed, spend at most 5 %."""
    looks = []
    for step in sorted(steps):
        looks.append(look(step, level=level_at(step, 1000, looks, shape)))
    assert math.fsum(each.level for each in looks) <= 0.05 + 1e-12
    assert all(each.level > 0 for each in looks) or shape == "obrien-fleming"


def test_a_second_look_at_a_step_has_no_level():
    assert level_at(5, 10, [look(5, level=level_at(5, 10, [], "pocock"))], "pocock") == 0


@pytest.mark.parametrize(
    ("looks", "best"),
    [
        ([], None),
        ([look(1, "regress")], None),
        ([look(1, "inconclusive", 0.5), look(2, "pass", 0.1)], 2),
        ([look(1, "pass", 0.1), look(2, "pass", 0.3), look(3, "pass", 0.3)], 2),
        ([look(1, "inconclusive"), look(2, "regress", 0.9)], 1),
    ],
)
def test_the_best_look(looks, best):
    found = best_look(looks)
    assert (found and found.step) == best


@pytest.mark.parametrize("name", ["looks", "track", "keep_runs"])
def test_settings_that_no_look_reads_are_refused(name):
    """Each look asks all cases at once, whatever ``looks`` says."""
    with pytest.raises(SettingsError, match=f"GateCallback: {name}: not a setting of a look"):
        prepare_asking({name: 5}, here=True)


def test_the_record_of_a_look_has_its_level(make_run, make_result, tmp_path):
    """Five of 20 cases lost are p = 1/64, which counts 0.05 / 0.0148 times at the first fifth of a training."""
    before, now = (
        make_run([make_result(f"s/{n}", n >= lost) for n in range(20)], run_id=f"lost-{lost}")
        for lost in (0, 5)
    )
    record = judge_look(now, before, load_settings({}, tmp_path, {}), 0.0148, {})
    assert record.comparison.regress_level == 0.0148
    assert record.comparison.metrics[0].p_adjusted == pytest.approx(0.05 / 0.0148 / 64)
    assert record.verdict.outcome is GateVerdict.INCONCLUSIVE


def test_what_a_few_clusters_can_show_at_a_look_is_told_of_one_model(make_run, make_result, tmp_path):
    """Six of six clusters by chance are 1/64, which counts 0.05 / 0.0032 times: no other model shares it."""
    before, now = (
        make_run(
            [
                replace(each, case=replace(each.case, cluster=each.case.id[0]))
                for each in (make_result(f"s/{name}{n}", not lost) for name in "abcdef" for n in range(3))
            ]
        )
        for lost in (False, True)
    )
    record = judge_look(now, before, load_settings({}, tmp_path, {}), 0.0032, {})
    assert record.comparison.metrics[0].too_few.models == 1
    assert "by chance with a probability of 0.01562, which counts 15.6 times: make it 9 clusters or more" in (
        sentence_of(record.verdict.findings[0])
    )
    assert "models" not in sentence_of(record.verdict.findings[0])


def test_cases_that_must_pass_alone_stop_nothing():
    must = Finding(verdict=GateVerdict.REGRESS, data=MustPassFinding(cases=("kept/w1",)))
    assert not is_sure(Verdict(outcome=GateVerdict.REGRESS, findings=(must,)))
    other = Finding(verdict=GateVerdict.REGRESS, data=NoteFinding(text="fell"))
    assert is_sure(Verdict(outcome=GateVerdict.REGRESS, findings=(must, other)))


def test_a_look_is_read_back_from_the_log_history():
    looks = [look(4), look(8, "regress", -0.3)]
    history = [{"loss": 1.0, "step": 1}] + [
        {**numbers_of(each), **facts_of(each), "epoch": 0.5, "step": each.step} for each in looks
    ]
    assert looks_in(history) == looks


@pytest.mark.simulation
@pytest.mark.parametrize(("paid", "most"), [(True, 0.05), (False, 0.45)])
def test_how_often_a_harmless_training_is_stopped(paid, most):
    """Eight looks at 80 cases of which 3 % flip each way by chance, at each look anew: the worst case."""
    rng = np.random.default_rng(0)
    trainings, looks, cases = 2000, 8, 80
    p_of = cache(lambda lost, gained: mcnemar_p(lost, gained, mid=True))
    levels: list[Look] = []
    for number in range(looks):
        levels.append(look(number + 1, level=level_at(number + 1, looks, levels, "pocock")))
    stopped = 0
    for _ in range(trainings):
        flips = rng.multinomial(cases, [0.03, 0.03, 0.94], size=looks)
        stopped += any(
            p_of(int(lost), int(gained)) <= (each.level if paid else 0.05)
            for each, (lost, gained, _) in zip(levels, flips, strict=True)
        )
    error = 2 * math.sqrt(0.05 * 0.95 / trainings)
    assert stopped / trainings <= most + error
    assert paid or stopped / trainings > 0.15


@pytest.mark.training
def test_a_harmful_reward_is_stopped_too(place, capsys):
    """Training by reinforcement, whose answers are sampled: the reward is the share of one word."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    from trainers.callback import GateCallback

    def ones(completions, **_):
        return [answer.count("one") / 6 for answer in completions]

    tokenizer = AutoTokenizer.from_pretrained(place.base)
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": f"what is w{number}"}], add_generation_prompt=True, tokenize=False
        )
        for number in range(40)
    ]
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(place.base, dtype="float32"),
        processing_class=tokenizer,
        reward_funcs=ones,
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
        peft_config=LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"),
        args=GRPOConfig(
            output_dir=str(place.output),
            report_to="none",
            use_cpu=True,
            beta=0.0,
            learning_rate=2e-2,
            max_steps=24,
            save_steps=2,
            per_device_train_batch_size=16,
            num_generations=8,
            max_completion_length=6,
            temperature=2.0,
        ),
        callbacks=[gate := GateCallback(place.golden, forgetting=False)],
    )
    gate.follow(trainer)
    trainer.train()
    *before, last = gate.looks
    # The first look at which it had turned bad: the answers of the looks before were mostly right.
    assert all(look.figures["gate/kept/drop"] < 0.5 for look in before)
    assert last.outcome is GateVerdict.REGRESS
    assert trainer.state.global_step == last.step < 24
    assert "stopping: the regression is sure at this level" in capsys.readouterr().out


def test_a_case_with_other_values_of_the_template_was_not_answered(make_run, make_result):
    """A resumed training kept its old baseline, and no look could compare any case with it."""
    run = make_run([make_result("kept/a"), make_result("kept/b")])
    cases = [result.case for result in run.results]
    assert first_unanswered(run, cases, {}) is None
    assert first_unanswered(run, cases, {"enable_thinking": False}) == "kept/a"
    asked = replace(run, plan=replace(run.plan, chat_template_kwargs={"enable_thinking": False}))
    assert first_unanswered(asked, cases, {"enable_thinking": False}) is None
    assert first_unanswered(asked, cases, {}) == "kept/a"
