"""An adapter that was trained on exact answers behind a real chat template passes its exact checks at the gate."""

import json

import pytest

from harness.engines.open import choose_plan, describe_model
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.scoring import score_cases
from harness.types import Check, GenerationSettings, GoldenCase, Message, Outcome

ROWS = [{"prompt": letter * 8, "completion": f"it is {letter}"} for letter in "AbCdEf"]
# Enough steps to learn them by heart.
EXACTLY = {
    "quantization": "none",
    "peft": {"method": "full"},
    "learning_rate": 5e-3,
    "warmup_steps": 10,
    "max_steps": 100,
    "batch_size": 6,
    "save_steps": 1000,
}
# Each with the end token of its model.
TEMPLATES = {
    "qwen3": "<|im_end|>",
    "qwen3_5_think": "<|im_end|>",
    "deepseek_r1_distill": "<｜end▁of▁sentence｜>",
    "gemma": "<end_of_turn>",
    "llama3_2": "<|eot_id|>",
}


@pytest.fixture
def base_of(letters, shipped, save_tiny_llama, tmp_path):
    """Makes a random base of single characters with a shipped chat template."""

    def make(name):
        if name is None:
            tokenizer = letters(None, adds_bos=True)
        else:
            tokenizer = letters(shipped(name), eos=TEMPLATES[name])
        return save_tiny_llama(
            tmp_path / f"base-{name}",
            tokenizer,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=512,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            initializer_range=0.1,
        )

    return make


def outcomes(model_dir, **settings):
    """The outcome of each trained question at the gate, and what was asked and answered."""
    model = describe_model(str(model_dir))
    cases = [
        GoldenCase(
            id=str(number),
            set_name="exact",
            messages=(Message(role="user", content=row["prompt"]),),
            checks=(Check(type="equals", value=row["completion"]),),
            generation=GenerationSettings(max_new_tokens=60, **settings),
        )
        for number, row in enumerate(ROWS)
    ]
    plan = choose_plan("float32", "cpu", 4096, [model])
    with Cache(None) as cache:
        found = answer_cases({"candidate": model}, plan, cases, cache, lambda *_: None)["candidate"]
    return score_cases(cases, found.completions)


@pytest.mark.matrix
@pytest.mark.parametrize("name", TEMPLATES)
def test_exact_answers_are_learnt_and_found_exact(name, make_project, base_of):
    project = make_project(
        "sft",
        ROWS,
        base=str(base_of(name)),
        **EXACTLY,
    )
    assert project.train() == 0
    results = outcomes(project.output)
    assert [result.completion.text for result in results] == [row["completion"] for row in ROWS]
    assert {result.outcome for result in results} == {Outcome.PASSED}
    if name == "qwen3":
        # The empty reasoning that its template writes was learnt too, and is no part of the answer.
        assert {result.completion.reasoning for result in results} == {""}
        kwargs = {"enable_thinking": False}
        assert {r.outcome for r in outcomes(project.output, chat_template_kwargs=kwargs)} == {Outcome.PASSED}
    # The saved template is the base's own, not the one that TRL was given.
    assert (
        "message['content'] -}}{% endgeneration" not in (project.output / "chat_template.jinja").read_text()
    )


@pytest.mark.parametrize("template", [None, "zephyr"])
def test_a_bare_base_is_asked_as_it_was_trained(make_project, base_of, template):
    """Without a template in plain text, else with the one that is stored with the adapter."""
    rows = [{**row, "completion": f"\n{row['completion']}"} for row in ROWS] if template is None else ROWS
    project = make_project(
        "sft",
        rows,
        base=str(base_of(None)),
        **EXACTLY,
        **({} if template is None else {"chat_template": template}),
    )
    assert project.train() == 0
    results = outcomes(project.output)
    assert [result.completion.text for result in results] == [row["completion"] for row in rows]
    assert {result.completion.stop_reason for result in results} == {"stop"}


def test_checkpoints_carry_the_base_s_own_template(make_project, base_of):
    base = base_of("qwen3")
    project = make_project("sft", ROWS, base=str(base), quantization="none", max_steps=2, save_steps=1)
    assert project.train() == 0
    saved = project.path / "out.work" / "checkpoints" / "checkpoint-1" / "chat_template.jinja"
    assert saved.read_text() == (base / "chat_template.jinja").read_text()


@pytest.mark.parametrize("method", ["sft", "dpo", "kto", "orpo", "grpo"])
def test_a_conversation_that_the_template_refuses_is_named_by_line(method, make_project, base_of, capsys):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "say 1"}]
    rows = {
        "sft": {"messages": [*turns, {"role": "assistant", "content": "it is 1"}]},
        "dpo": {"prompt": turns, "chosen": "a", "rejected": "b"},
        "orpo": {"prompt": turns, "chosen": "a", "rejected": "b"},
        "kto": {"prompt": turns, "completion": "a", "label": True},
        "grpo": {"prompt": turns},
    }
    more = {"rewards": [{"type": "json-valid"}], "num_generations": 2} if method == "grpo" else {}
    good = {**rows[method], "label": False} if method == "kto" else rows[method]
    project = make_project(
        method, [rows[method], good], base=str(base_of("gemma")), quantization="none", **more
    )
    assert project.train() == 4
    error = capsys.readouterr().err
    assert "rows.jsonl:1: the chat template refuses it: System role not supported" in error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"date": "2025-02-30"}, "date: '2025-02-30' is not a day"),
        ({"date": "today"}, "date: found 'today'"),
        ({"chat_template_kwargs": {"tokenize": True}}, "'tokenize' is not a value of the template"),
        ({"trl": {"chat_template_path": "x"}}, "trl.chat_template_path: TRL gets rendered rows"),
    ],
)
def test_settings_of_the_template_are_checked(changes, message, make_project, capsys):
    assert make_project("sft", ROWS, **changes).train() == 4
    assert message in capsys.readouterr().err


def test_the_manifest_holds_how_rows_were_rendered(make_project, base_of):
    kwargs = {"enable_thinking": False}
    project = make_project(
        "sft",
        ROWS,
        base=str(base_of("qwen3")),
        quantization="none",
        max_steps=1,
        chat_template_kwargs=kwargs,
    )
    assert project.train() == 0
    config = json.loads((project.output / "training_manifest.json").read_text())["config"]
    assert (config["chat_template_kwargs"], config["date"]) == (kwargs, "2024-07-26")


def test_a_golden_set_that_the_template_refuses_is_named_before_training(make_project, base_of, capsys):
    project = make_project(
        "sft",
        ROWS,
        base=str(base_of("gemma")),
        quantization="none",
        early_stop={"golden": "stop.yaml"},
        max_steps=1,
    )
    (project.path / "stop.yaml").write_text(
        "name: stop\ndefaults: {system: Be brief., checks: [{type: contains, value: a}]}\n"
        "cases: [{id: one, prompt: say 1}]\n"
    )
    assert project.train() == 4
    error = capsys.readouterr().err
    assert "early_stop: stop/one: the chat template refuses it: System role not supported" in error


def test_an_adapter_that_goes_on_from_another_keeps_its_template(make_project, base_of):
    """Its prompts are what was learnt behind, and not the base's."""
    base = base_of("qwen3")
    settings = {"base": str(base), "quantization": "none", "max_steps": 1}
    project = make_project("sft", ROWS, **settings)
    assert project.train() == 0
    first = project.output.rename(project.path / "first")
    template = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
    (first / "chat_template.jinja").write_text(template)
    assert project.train(adapter="first") == 0
    assert (project.output / "chat_template.jinja").read_text() == template
