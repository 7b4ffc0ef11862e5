"""Generation settings: the same rules in a golden set and in Python, and hashes that only what is given changes."""

import pytest

from harness.errors import GoldenError, SettingsError
from harness.golden.load import load_golden_set
from harness.plugin.fixtures import generation_settings
from harness.types import GenerationSettings, GoldenCase, Message

WRONG = {
    "temperature: -1": "temperature: found -1",
    "top_p: 0": "top_p: found 0",
    "top_p: 1.5": "top_p: found 1.5",
    "max_new_tokens: 0": "max_new_tokens: found 0",
    "seed: -1": "seed: found -1",
    "stop: 3": "stop: found 3",
    "stop: ['']": r"stop\[0\]: found \"\"",
    "max_reasoning_tokens: 0": "max_reasoning_tokens: found 0",
    "date: '2024-13-01'": "date: '2024-13-01' is not a day: write it as YYYY-MM-DD",
    "date: '20240101'": "date: '20240101' is not a day",
    "chat_template_kwargs: {tokenize: true}": "chat_template_kwargs: 'tokenize' is not a value of the template",
    "score_reasoning: maybe": 'score_reasoning: found "maybe"',
    "tempreature: 0.5": "tempreature",
}


def load(tmp_path, generation, case_generation="{}"):
    path = tmp_path / "s.yaml"
    path.write_text(
        f"name: s\ngeneration: {{{generation}}}\ncases:\n"
        f"- {{id: a, prompt: w1, generation: {case_generation}, checks: [{{type: contains, value: w}}]}}\n"
    )
    return load_golden_set(path).cases[0].generation


@pytest.mark.parametrize("text", WRONG)
def test_a_value_out_of_range_is_named_in_yaml_and_in_python(text, tmp_path):
    import yaml

    with pytest.raises(GoldenError, match=WRONG[text]) as in_file:
        load(tmp_path, text)
    with pytest.raises(SettingsError, match=WRONG[text]) as in_python:
        generation_settings(yaml.safe_load(text), "generate")
    assert str(in_python.value).startswith("generate: ")
    assert "\n" not in str(in_file.value) + str(in_python.value)


@pytest.mark.parametrize("stop", ["END", ["END"], ("END",)])
def test_one_stop_text_is_a_text_and_not_its_letters(stop):
    assert generation_settings({"stop": stop}, "generate").stop == ("END",)


def test_one_stop_text_in_yaml(tmp_path):
    assert load(tmp_path, "stop: END").stop == ("END",)
    assert load(tmp_path, "stop: [END, '<|im_end|>']").stop == ("END", "<|im_end|>")


def test_a_case_adds_to_the_set_s_template_values(tmp_path):
    own = "{chat_template_kwargs: {b: 2}, max_new_tokens: 5}"
    settings = load(tmp_path, "chat_template_kwargs: {a: 1, b: 1}, date: '2025-01-02'", own)
    assert settings.chat_template_kwargs == {"a": 1, "b": 2}
    assert (settings.date, settings.max_new_tokens) == ("2025-01-02", 5)


def case(**settings):
    message = Message(role="user", content="w1")
    return GoldenCase(id="a", set_name="s", messages=(message,), generation=GenerationSettings(**settings))


def test_a_case_without_later_settings_keeps_its_first_hash():
    """What was stored before these settings came is still paired."""
    first = "e0fb192f7cc6b5242733ed8b29f412db2b06055209ebfa05ba5e1f5c12381cdc"
    assert case().content_sha256 == first
    assert case(date="2024-07-26", chat_template_kwargs={}).content_sha256 == first


@pytest.mark.parametrize(
    "given",
    [
        {"date": "2025-01-02"},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"max_reasoning_tokens": 9},
        {"score_reasoning": True},
        {"use_model_settings": True},
    ],
)
def test_each_later_setting_makes_another_case(given):
    assert case(**given).content_sha256 != case().content_sha256
