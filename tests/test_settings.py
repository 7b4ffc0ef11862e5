"""Where settings come from, which wins, and how a wrong one is named."""

import os
from dataclasses import fields

import pytest

from harness.errors import SettingsError
from harness.settings import SETTINGS, Settings, environment_variable, load_settings


def write(root, text):
    (root / "pyproject.toml").write_text(f"[tool.tunegate]\n{text}\n")
    return root


def test_every_setting_is_in_the_table():
    """The table that options and docs are made from names each field, and no other."""
    assert sorted(SETTINGS) == sorted(field.name for field in fields(Settings))


def test_defaults(tmp_path):
    assert load_settings({}, tmp_path, {}) == Settings()


def test_a_flag_wins_over_the_environment_over_pyproject(tmp_path):
    root = write(tmp_path, "margin = 0.1\nfail-on = 'case'\ndtype = 'float16'")
    environment = {"TUNEGATE_MARGIN": "0.2", "TUNEGATE_FAIL_ON": "inconclusive"}
    settings = load_settings({"margin": "0.3", "fail_on": None}, root, environment)
    assert (settings.margin, settings.fail_on, settings.dtype) == (0.3, "inconclusive", "float16")


def test_lists_and_booleans_from_pyproject_and_environment(tmp_path):
    root = write(tmp_path, "golden = ['a', 'b']\nforgetting = false")
    settings = load_settings({}, root, {"TUNEGATE_CACHE": "0", "TUNEGATE_PATHS": "x:y"})
    assert settings.golden == ("a", "b")
    assert settings.paths == ("x", "y")
    assert not settings.forgetting
    assert not settings.cache


def test_several_models_from_each_place(tmp_path):
    """A list in pyproject.toml, a path list in the variable, the option as often as it is given."""
    root = write(tmp_path, "model = ['a', 'b']")
    assert load_settings({}, root, {}).model == ("a", "b")
    assert load_settings({}, root, {"TUNEGATE_MODEL": f"c{os.pathsep}d"}).model == ("c", "d")
    assert load_settings({"model": ("e",)}, root, {"TUNEGATE_MODEL": "c"}).model == ("e",)


def test_an_empty_variable_is_no_way_to_gate_nothing(tmp_path):
    with pytest.raises(SettingsError, match="TUNEGATE_MODEL: found ''"):
        load_settings({}, tmp_path, {"TUNEGATE_MODEL": ""})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("margn = 1", r"pyproject.toml: \[tool.tunegate\] margn: unknown key \(allowed: model, baseline"),
        ("margin = 2", r"\[tool.tunegate\] margin: found '2' \(allowed: a number from 0 to 1\)"),
        ("margin = [1]", r"\[tool.tunegate\] margin: found \[1\]"),
        ("fail_on = 'never'", r"fail_on: found 'never' \(allowed: regress | inconclusive | case\)"),
        ("batch_tokens = 0", "batch_tokens: found '0' .*a whole number from 1"),
        ("forgetting = 'maybe'", "forgetting: found 'maybe' .*true | false"),
        ("margin = ", "pyproject.toml: Invalid value"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_is_allowed(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        load_settings({}, write(tmp_path, text), {})


# Any text is a model's name, a device or a path: those can only be found wrong when they are used.
CHECKED = [
    name
    for name, setting in SETTINGS.items()
    if setting.parse is not str and name not in {"model", "golden", "paths"}
]


@pytest.mark.parametrize("name", CHECKED)
def test_a_wrong_value_names_its_environment_variable(tmp_path, name):
    variable = environment_variable(name)
    with pytest.raises(SettingsError, match=f"{variable}: found 'wrong value'"):
        load_settings({}, tmp_path, {variable: "wrong value"})


@pytest.mark.parametrize("text", ["nan", "-0.1", "1.5", "much", ""])
def test_a_margin_is_a_fraction(tmp_path, text):
    with pytest.raises(SettingsError, match="--gate-margin: found"):
        load_settings({"margin": text}, tmp_path, {})


def test_values_for_chat_templates_are_json_or_a_table(tmp_path):
    root = write(tmp_path, "[tool.tunegate.chat_template_kwargs]\nenable_thinking = false")
    assert load_settings({}, root, {}).chat_template_kwargs == {"enable_thinking": False}
    flags = {"chat_template_kwargs": '{"reasoning_effort": "low"}'}
    assert load_settings(flags, root, {}).chat_template_kwargs == {"reasoning_effort": "low"}


@pytest.mark.parametrize("text", ["no", "[1]", "3", '{"tokenize": false}', '{"messages": []}'])
def test_other_values_for_chat_templates_are_refused(tmp_path, text):
    with pytest.raises(SettingsError, match=r"--gate-chat-template-kwargs: found .*allowed: "):
        load_settings({"chat_template_kwargs": text}, tmp_path, {})
