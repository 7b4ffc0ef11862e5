"""A model's own generation config is used where a golden set asks for it, and then all of it."""

import copy
import json
import shutil

import pytest

from harness.engines.model_settings import refuse_unfollowed
from harness.engines.side import Side
from harness.errors import ModelError


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


def settings_of(model_dir, tmp_path, **own):
    """A copy of a model whose generation config has further keys."""
    directory = shutil.copytree(model_dir, tmp_path / "own")
    path = directory / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **own}))
    return directory


@pytest.mark.parametrize(
    "own",
    [
        {"encoder_repetition_penalty": 3.0},
        {"encoder_no_repeat_ngram_size": 1},
        {"min_new_tokens": 6, "begin_suppress_tokens": [9], "sequence_bias": [[[12], 4.0]]},
        {"exponential_decay_length_penalty": [2, 3.0]},
        {"bad_words_ids": [[token] for token in range(7, 40)], "renormalize_logits": True},
        {"watermarking_config": {"greenlist_ratio": 0.25, "bias": 4.0}},
    ],
    ids="-".join,
)
def test_every_other_setting_of_the_logits_is_followed_too(
    own, tiny_model_dir, tmp_path, bare_texts, engine_texts
):
    directory = settings_of(tiny_model_dir, tmp_path, **own)
    texts, _ = engine_texts(directory, use_model_settings=True)
    assert texts["candidate-0"] == bare_texts(directory)
    assert texts["candidate-0"] != bare_texts(tiny_model_dir)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_beams", 4),
        ("guidance_scale", 1.5),
        ("max_time", 0.5),
        ("stop_strings", ["two"]),
        ("token_healing", True),
        ("penalty_alpha", 0.6),
        ("dola_layers", "high"),
        ("cache_implementation", "quantized"),
        ("force_words_ids", [[9]]),
        ("is_assistant", True),
    ],
)
def test_a_setting_that_cannot_be_followed_is_named(key, value, tiny_model_dir, tmp_path, engine_texts):
    """Only where a set asks for the model's own settings; greedy answers read none of them."""
    directory = settings_of(tiny_model_dir, tmp_path, **{key: value})
    with pytest.raises(ModelError) as refused:
        engine_texts(directory, use_model_settings=True)
    assert f"the generation config of {directory} sets {key}: {value!r}, which" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert engine_texts(directory)[0] == engine_texts(tiny_model_dir)[0]


@pytest.mark.parametrize(
    "own", [{"repetition_penalty": -3.0}, {"bad_words_ids": [[99_999]]}, {"no_repeat_ngram_size": "two"}]
)
def test_a_value_that_cannot_be_followed_is_for_the_user_to_correct(
    own, tiny_model_dir, tmp_path, engine_texts
):
    directory = settings_of(tiny_model_dir, tmp_path, **own)
    with pytest.raises(
        ModelError, match=f"the generation config of {directory} can't be followed: "
    ) as refused:
        engine_texts(directory, use_model_settings=True)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("prefill_chunk_size", 0), ("prompt_lookup_num_tokens", "1"), ("assistant_early_exit", [])),
        *(("top_k", "1"), ("temperature", [0.7]), ("bos_token_id", "two"), ("pad_token_id", float("nan"))),
        *(("bos_token_id", [3, "x"]), ("output_hidden_states", "two"), ("return_dict_in_generate", 1.5)),
    ],
)
def test_a_value_with_which_the_library_fails_is_named_too(key, value, side_with):
    """Our loop reads none of these, and would answer where a script with these settings can't."""
    with pytest.raises(ModelError, match=rf"sets {key}: .*, with which transformers fails; correct it"):
        refuse_unfollowed(side_with(**{key: value}), "set/case")
    refuse_unfollowed(side_with(top_k=20, temperature=0.7, bos_token_id=[1], pad_token_id=0), "set/case")


@pytest.fixture(scope="module")
def side_with(tiny_model_dir):
    """A side of the tiny model whose generation config has further keys."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)

    def build(**settings):
        own = copy.deepcopy(model.generation_config)
        for name, value in settings.items():
            setattr(own, name, value)
        return Side(model=model, adapter=None, tokenizer=tokenizer, model_settings=own)

    return build


@pytest.mark.parametrize("value", ["false", 0])
def test_a_cache_that_is_neither_on_nor_off_is_refused(value, tiny_model_dir, tmp_path, engine_texts):
    """Transformers takes such a value for on at one place and for off at another."""
    directory = settings_of(tiny_model_dir, tmp_path, use_cache=value)
    with pytest.raises(
        ModelError, match=r"generation_config\.json: use_cache: found .* \(allowed: true, false\)"
    ):
        engine_texts(directory)


def test_every_key_of_a_generation_config_is_followed_or_refused_or_has_no_effect():
    """A key that a later transformers adds is refused until somebody decides about it."""
    from harness.engines import model_settings

    decided = model_settings._FOLLOWED | model_settings._SET_BY_CASES | model_settings._WITHOUT_EFFECT
    assert decided <= model_settings._known_keys()
    assert not (decided & set(model_settings._OFF))
    assert model_settings._known_keys() - decided == {
        *model_settings._OFF,
        *("max_time", "stop_strings", "token_healing", "dola_layers", "constraints", "force_words_ids"),
        *("use_mtp", "is_assistant"),
    }


def test_values_that_switch_nothing_on_are_no_reason_to_refuse(tiny_model_dir, tmp_path, engine_texts):
    usual = {
        "num_beams": 1,
        "guidance_scale": 1.0,
        "stop_strings": None,
        "token_healing": False,
        "chat_format": "x",
    }
    directory = settings_of(tiny_model_dir, tmp_path, **usual)
    assert engine_texts(directory, use_model_settings=True)[0] == engine_texts(tiny_model_dir)[0]
