"""Prompts of a workload: rendered before anything loads, stored, recorded with the answers, pinned to a day."""

import json
import shutil
from dataclasses import replace

import pytest

from harness.engines.open import base_of, choose_plan, describe_model
from harness.errors import PromptError, SettingsError
from harness.run import prompting
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.prompting import check_prompts
from harness.types import Check, GenerationSettings, GoldenCase, Message, ModelRef, ToolCall

DATED = "{{ strftime_now('%d %b %Y') }} {% for m in messages %}{{ m.content }} {% endfor %}"


@pytest.fixture
def cache():
    with Cache(None) as opened:
        yield opened


@pytest.fixture
def dated(tiny_adapter_dir, tmp_path):
    """An adapter with a template that writes the date."""
    directory = shutil.copytree(tiny_adapter_dir, tmp_path / "dated")
    (directory / "chat_template.jinja").write_text(DATED)
    return directory


def sides_of(directory):
    candidate = describe_model(str(directory))
    return {"candidate": candidate, "baseline": base_of(candidate)}


def plan_of(sides):
    return choose_plan("float32", "cpu", 4096, list(sides.values()))


def asked(name="a", **settings):
    return GoldenCase(
        id=name,
        set_name="s",
        messages=(Message(role="user", content="w1"),),
        generation=GenerationSettings(max_new_tokens=4, **settings),
    )


def answers(sides, cases, cache, engine_class, plan=None):
    engine = engine_class()
    given = answer_cases(
        sides, plan or plan_of(sides), cases, cache, lambda *_: None, open_engine=lambda *_: engine
    )
    return engine, {side: found.completions for side, found in given.items()}


def test_what_was_asked_is_recorded_for_each_side(dated, cache, engine_class):
    _, given = answers(sides_of(dated), [asked()], cache, engine_class)
    assert given["candidate"]["s/a"].prompt == "26 Jul 2024 w1 "
    assert given["baseline"]["s/a"].prompt == "<|user|> w1 <|end|> <|assistant|> "
    assert len({completions["s/a"].prompt_sha256 for completions in given.values()}) == 2


def test_another_date_is_another_prompt_and_another_answer(dated, cache, engine_class):
    """Only of the side whose template writes the date: the other's prompt is the same, and so is its answer."""
    sides = sides_of(dated)
    answers(sides, [asked()], cache, engine_class)
    engine, given = answers(sides, [asked(date="2025-01-02")], cache, engine_class)
    assert engine.asked == [("candidate", "s/a")]
    assert given["candidate"]["s/a"].prompt == "02 Jan 2025 w1 "


def test_prompts_are_rendered_once(dated, cache, engine_class, monkeypatch):
    sides = sides_of(dated)
    check_prompts(sides, plan_of(sides), [asked()], cache)
    monkeypatch.setattr(prompting, "render_prompt", lambda *_: pytest.fail("rendered again"))
    monkeypatch.setattr(prompting, "model_tokenizer", lambda *_: pytest.fail("loaded again"))
    answers(sides, [asked()], cache, engine_class)


def test_values_for_templates_come_from_the_plan_unless_a_case_has_its_own(dated, cache, engine_class):
    (dated / "chat_template.jinja").write_text("{{ tone }} {{ place }} {{ messages[0].content }}")
    sides = sides_of(dated)
    plan = replace(plan_of(sides), chat_template_kwargs={"tone": "calm", "place": "here"})
    cases = [asked(), asked("b", chat_template_kwargs={"tone": "loud"})]
    _, given = answers(sides, cases, cache, engine_class, plan)
    assert [given["candidate"][key].prompt for key in ("s/a", "s/b")] == ["calm here w1", "loud here w1"]


CALL = ToolCall(name="weather", arguments={"city": "Oslo"})
CALLED = (
    *asked().messages,
    Message(role="assistant", content="", tool_calls=(CALL,)),
    Message(role="tool", content="21 °C", name="weather"),
)


@pytest.mark.parametrize(
    ("engine", "late", "reason"),
    [
        ("openai", asked("late", max_reasoning_tokens=5), "max_reasoning_tokens can't be sent"),
        ("openai", asked("late", date="2026-01-31"), "a date for the template can't be sent"),
        ("openai-completions", replace(asked("late"), messages=CALLED), "calls of tools and their results"),
        (
            "vllm",
            asked("late", use_model_settings=True),
            "use_model_settings: the generation config of m sets no_repeat_ngram_size: 3, which vLLM doesn't",
        ),
    ],
)
def test_what_a_server_can_not_be_asked_is_refused_before_it_is_asked_anything(cache, engine, late, reason):
    """At the first of several looks all cases that come first would be answered, and paid for."""
    settings = ("no_repeat_ngram_size: 3", "repetition_penalty: 1.1")
    model = ModelRef(label="m", base_model="m", base_sha256="0" * 64, engine="openai", own_settings=settings)
    plan = replace(choose_plan("auto", "cpu", 4096, [model]), engine=engine)
    with pytest.raises(SettingsError, match=f"^s/late: {reason}"):
        check_prompts({"candidate": model}, plan, [asked(), late], cache)


def test_what_a_server_can_be_asked_is_not_refused(cache):
    model = ModelRef(label="m", base_model="m", base_sha256="0" * 64, engine="openai")
    plan = choose_plan("auto", "cpu", 4096, [model])
    check_prompts({"candidate": model}, plan, [asked(), replace(asked("b"), messages=CALLED)], cache)


def test_the_penalty_of_a_model_s_own_settings_is_followed_by_vllm(tiny_model_dir, tmp_path, cache):
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    (base / "generation_config.json").write_text('{"repetition_penalty": 1.1, "top_k": 20}')
    sides = {"candidate": describe_model(str(base))}
    assert sides["candidate"].own_settings == ("repetition_penalty: 1.1",)
    plan = replace(plan_of(sides), engine="vllm")
    check_prompts(sides, plan, [asked(use_model_settings=True)], cache)


def test_a_reference_that_leaves_the_context_is_refused(tiny_adapter_dir, cache):
    sides = sides_of(tiny_adapter_dir)
    long = replace(asked(), references=("w1 " * 600,), checks=(Check(type="perplexity"),))
    with pytest.raises(PromptError, match=r"s/a: .*600 of its reference are more than its context of 512"):
        check_prompts(sides, plan_of(sides), [long], cache)


def test_each_reason_is_told_once_with_its_cases(dated, cache):
    (dated / "chat_template.jinja").write_text(
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[-1].content }}"
    )
    sides = sides_of(dated)
    system = (Message(role="system", content="s"), Message(role="user", content="w1"))
    refused = [replace(asked(name), messages=system) for name in "abcde"]
    long = replace(asked("long"), generation=GenerationSettings(max_new_tokens=600))
    with pytest.raises(PromptError) as told:
        check_prompts(sides, plan_of(sides), [*refused, long, asked("good")], cache)
    lines = str(told.value).splitlines()
    assert len(lines) == 3  # refused by the candidate; too long for each side
    assert lines[0].startswith("s/a, s/b, s/c and 2 more cases: ")
    assert all(line.startswith("s/long: ") for line in lines[1:])


def test_a_problem_of_both_sides_is_told_once(dated, cache):
    sides = sides_of(dated)
    long = replace(asked(), messages=(Message(role="user", content="w1 " * 600),))
    sides["candidate"] = replace(sides["candidate"], adapter_dir=None)
    with pytest.raises(PromptError) as told:
        check_prompts(sides, plan_of(sides), [long], cache)
    (line,) = str(told.value).splitlines()
    assert line.startswith(f"s/a: {sides['candidate'].label} and {sides['baseline'].label}: 603 tokens")


def test_general_text_that_leaves_the_context_is_refused_before_anything_loads(
    tiny_model_dir, tmp_path, cache
):
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 64}))
    sides = {"candidate": describe_model(str(base))}

    def load(*_):
        pytest.fail("loaded")

    problem = (
        r"general text .*tokens are more than its context of 64; leave general text out with --gate-no-f"
    )
    with pytest.raises(PromptError, match=problem):
        answer_cases(
            sides, plan_of(sides), [asked()], cache, lambda *_: None, with_text=True, open_engine=load
        )


def test_a_base_without_positions_has_no_limit(tiny_model_dir, tmp_path, cache):
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    del config["max_position_embeddings"]
    (base / "config.json").write_text(json.dumps({**config, "model_type": "bloom"}))
    sides = {"candidate": describe_model(str(base))}
    check_prompts(sides, plan_of(sides), [asked(max_reasoning_tokens=30000)], cache)


def test_a_value_that_no_template_reads_is_refused(dated, cache):
    (dated / "chat_template.jinja").write_text("{{ enable_thinking }}{{ messages[0].content }}")
    sides = sides_of(dated)
    right = replace(plan_of(sides), chat_template_kwargs={"enable_thinking": False})
    check_prompts(sides, right, [asked()], cache)
    wrong = replace(right, chat_template_kwargs={"enable_thinkin": False})
    with pytest.raises(SettingsError, match=r"no chat template of .* reads 'enable_thinkin'; leave it out"):
        check_prompts(sides, wrong, [asked()], cache)


def test_virtual_tokens_take_room_too(tiny_adapter_dir, tmp_path, cache):
    directory = shutil.copytree(tiny_adapter_dir, tmp_path / "prefix")
    fits = asked(max_reasoning_tokens=500)
    check_prompts(sides_of(directory), plan_of(sides_of(directory)), [fits], cache)
    config = json.loads((directory / "adapter_config.json").read_text())
    (directory / "adapter_config.json").write_text(json.dumps({**config, "num_virtual_tokens": 20}))
    changed = {"candidate": replace(sides_of(tiny_adapter_dir)["candidate"], adapter_dir=str(directory))}
    with pytest.raises(PromptError, match="more than its context of 492"):
        check_prompts(changed, plan_of(changed), [fits], cache)


THINKING = (
    "{% for m in messages %}<|{{ m.role }}|> "
    "{% if m.role == 'assistant' %}<think> </think> {% endif %}{{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)


def with_reference(*references):
    return replace(asked(), references=references or ("w2",), checks=(Check(type="perplexity"),))


@pytest.fixture
def thinking(tiny_adapter_dir, tmp_path):
    """An adapter whose template writes an empty reasoning before an answer."""
    directory = shutil.copytree(tiny_adapter_dir, tmp_path / "thinking")
    (directory / "chat_template.jinja").write_text(THINKING)
    return directory


def rendered_references(directory, cases, cache):
    sides = sides_of(directory)
    workload = prompting.plan_workload(sides, cases)
    return prompting.render_workload(workload, sides, plan_of(sides), cache).references


def test_references_are_scored_where_an_answer_begins(thinking, cache):
    """Of the side that reasons; the prompt of the other one, and so what is stored of it, is as it was."""
    candidate, baseline = rendered_references(thinking, [with_reference()], cache)
    assert candidate.prompt.text == "<|user|> w1 <|assistant|> <think> </think> "
    assert candidate.direct
    assert baseline.prompt.text == "<|user|> w1 <|end|> <|assistant|> "
    assert not baseline.direct


def test_prompts_of_references_are_stored_too(thinking, cache, monkeypatch):
    first = rendered_references(thinking, [with_reference()], cache)
    monkeypatch.setattr(prompting, "model_tokenizer", lambda *_: pytest.fail("loaded again"))
    assert rendered_references(thinking, [with_reference()], cache) == first


def test_a_reference_with_a_reasoning_of_its_own_begins_before_it(thinking, cache):
    (request, _) = rendered_references(thinking, [with_reference("<think>w3</think>w2")], cache)
    assert request.prompt.text == "<|user|> w1 <|assistant|> "
    assert not request.direct


def test_losses_say_where_they_were_scored(thinking, cache, engine_class):
    """So that a run of an earlier version, which scored them elsewhere, is not compared."""
    sides = sides_of(thinking)
    given = answer_cases(
        sides,
        plan_of(sides),
        [with_reference()],
        cache,
        lambda *_: None,
        open_engine=lambda *_: engine_class(),
    )
    assert [given[side].reference_losses["s/a"][0].direct for side in sides] == [True, False]
