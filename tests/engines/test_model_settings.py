"""A model's own generation config is heeded where a golden set asks for it, and then all of it."""

import json
import shutil

import pytest


@pytest.fixture
def strict_model_dir(tiny_model_dir, tmp_path):
    """The tiny model with a generation config that changes what it says."""
    directory = shutil.copytree(tiny_model_dir, tmp_path / "strict")
    path = directory / "generation_config.json"
    config = json.loads(path.read_text())
    penalties = {"repetition_penalty": 3.0, "suppress_tokens": [20, 21], "no_repeat_ngram_size": 2}
    path.write_text(json.dumps({**config, **penalties, "do_sample": True, "temperature": 0.7, "top_k": 5}))
    return directory


def test_answers_are_purely_greedy_unless_the_set_asks(
    strict_model_dir, tiny_model_dir, bare_texts, engine_texts
):
    texts, _ = engine_texts(strict_model_dir)
    assert texts["candidate-0"] == bare_texts(tiny_model_dir)
    assert texts["candidate-0"] != bare_texts(strict_model_dir)


def test_a_forced_end_token_is_forced_at_the_sets_limit(tiny_model_dir, tmp_path, bare_texts, engine_texts):
    directory = shutil.copytree(tiny_model_dir, tmp_path / "forced")
    path = directory / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "forced_eos_token_id": 3}))
    texts, _ = engine_texts(directory, use_model_settings=True)
    assert texts["candidate-0"] == bare_texts(directory)
    assert texts["candidate-0"] != bare_texts(tiny_model_dir)


def test_a_set_that_asks_for_the_models_own_settings_gets_all_of_them(
    strict_model_dir, bare_texts, engine_texts
):
    """As generate applies them: penalties, suppressed tokens and repeated runs of words, row by row."""
    texts, _ = engine_texts(strict_model_dir, use_model_settings=True)
    assert texts["candidate-0"] == bare_texts(strict_model_dir)
