"""Where settings come from, which wins, and how a wrong one is named."""

import json
import subprocess
import sys

import pytest

from harness.errors import SettingsError
from harness.settings import SETTINGS, Settings, environment_variable, load_settings, settings_of_command
from harness.settings.model import allowed_values


def write(root, text):
    (root / "pyproject.toml").write_text(f"[tool.tunegate]\n{text}\n")
    return root


def test_each_setting_says_how_it_is_written():
    """With its option, what it does, and which values it takes."""
    assert list(SETTINGS) == list(Settings.model_fields)
    assert all(setting.help and allowed_values(name) for name, setting in SETTINGS.items())
    switches = {name for name in SETTINGS if Settings.model_fields[name].annotation is bool}
    assert {
        name for name, setting in SETTINGS.items() if setting.flag and setting.metavar is None
    } == switches


def test_defaults_are_values_that_their_own_types_take():
    assert Settings(**Settings().model_dump()) == Settings()


def test_the_sources_are_imported_only_where_something_is_written(tmp_path):
    code = (
        "import sys; from pathlib import Path; from harness.settings import load_settings\n"
        "load_settings({}, Path(), {}); print('pydantic_settings' in sys.modules)\n"
        "load_settings({}, Path(), {'TUNEGATE_MARGIN': '0.1'}); print('pydantic_settings' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]


def test_defaults(tmp_path):
    assert load_settings({}, tmp_path, {}) == Settings()


def test_a_flag_wins_over_the_environment_over_pyproject(tmp_path):
    root = write(tmp_path, "margin = 0.1\nfail-on = 'case'\ndtype = 'float16'")
    environment = {"TUNEGATE_MARGIN": "0.2", "TUNEGATE_FAIL_ON": "inconclusive"}
    settings = load_settings({"margin": "0.3", "fail_on": None}, root, environment)
    assert (settings.margin, settings.fail_on, settings.dtype) == (0.3, "inconclusive", "float16")


# Two values of each setting that is no switch.
TWO = {
    **dict.fromkeys(("model", "judge", "track"), (["local:a"], ["local:b"])),
    **dict.fromkeys(("golden", "paths"), (["a"], ["b"])),
    **dict.fromkeys(("base", "baseline", "device", "server", "server_args", "model_id"), ("a", "b")),
    **dict.fromkeys(("directory", "history", "accept", "accept_reason"), ("a", "b")),
    **dict.fromkeys(("margin", "forgetting_margin"), (0.25, 0.5)),
    **dict.fromkeys(
        ("batch_tokens", "server_concurrency", "judge_concurrency", "workers", "confirm", "looks"), (3, 5)
    ),
    **dict.fromkeys(("server_timeout_s", "judge_timeout_s"), (3.0, 5.0)),
    **dict.fromkeys(("server_prices", "judge_prices"), ("1/2", "3/4")),
    "keep_runs": ("200", "90d"),
    "dtype": ("float32", "float16"),
    "weights": ("nf4", "stored"),
    "engine": ("vllm", "transformers"),
    "fail_on": ("case", "inconclusive"),
    "chat_template_kwargs": ({"a": 1}, {"a": 2}),
}


def as_variable(value):
    return (
        json.dumps(value) if isinstance(value, dict) else value[0] if isinstance(value, list) else str(value)
    )


def as_toml(value):
    return f"{{a = {value['a']}}}" if isinstance(value, dict) else json.dumps(value)


@pytest.mark.parametrize("name", [*SETTINGS])
def test_each_setting_is_read_from_each_source_in_this_order(tmp_path, name):
    """An option before a variable before pyproject.toml before the default, for all of them alike."""
    one, other = TWO.get(name, (True, False))

    def read(flag=None, variable=None, key=None):
        write(tmp_path, "" if key is None else f"{name} = {as_toml(key)}")
        environment = {} if variable is None else {environment_variable(name): as_variable(variable)}
        flags = {name: tuple(flag) if isinstance(flag, list) else flag}
        return getattr(load_settings(flags, tmp_path, environment), name)

    first, second = read(flag=one), read(flag=other)
    default = getattr(Settings(), name)
    assert first != second
    assert read() == default
    assert [read(key=one), read(key=other)] == [first, second]
    assert [read(variable=one, key=other), read(variable=other, key=one)] == [first, second]
    assert [read(one, other, other), read(other, one, one)] == [first, second]


def test_lists_and_booleans_from_pyproject_and_environment(tmp_path):
    root = write(tmp_path, "golden = ['a', 'b']\nforgetting = false")
    settings = load_settings({}, root, {"TUNEGATE_CACHE": "0", "TUNEGATE_PATHS": "x:y"})
    assert settings.golden == ("a", "b")
    assert settings.paths == ("x", "y")
    assert not settings.forgetting
    assert not settings.cache


def test_several_models_from_each_place(tmp_path):
    """A list in pyproject.toml, a JSON list in the variable, the option as often as it is given."""
    root = write(tmp_path, "model = ['a', 'b']")
    assert load_settings({}, root, {}).model == ("a", "b")
    assert load_settings({}, root, {"TUNEGATE_MODEL": '["c", "d"]'}).model == ("c", "d")
    assert load_settings({"model": ("e",)}, root, {"TUNEGATE_MODEL": "c"}).model == ("e",)


@pytest.mark.parametrize(
    "name",
    [
        "hf:org/name@v1",
        "hosted:https://host:8000/v1",
        r"C:\models\a b;c",
        "canned:answers.json",
        "[draft] adapter",
        "7",
    ],
)
def test_a_model_s_name_may_have_any_sign(tmp_path, name):
    assert load_settings({}, tmp_path, {"TUNEGATE_MODEL": name}).model == (name,)
    listed = json.dumps([name, "b"])
    assert load_settings({}, tmp_path, {"TUNEGATE_MODEL": listed}).model == (name, "b")
    (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\nmodel = {json.dumps(name)}\n")
    assert load_settings({}, tmp_path, {}).model == (name,)


@pytest.mark.parametrize("value", [" ", "[]", "[3]", '["a", null]'])
def test_a_variable_without_a_name_is_refused(tmp_path, value):
    with pytest.raises(SettingsError, match=r"TUNEGATE_MODEL: found .*allowed: a directory or name"):
        load_settings({}, tmp_path, {"TUNEGATE_MODEL": value})


def test_an_empty_variable_is_no_way_to_gate_nothing(tmp_path):
    with pytest.raises(SettingsError, match="TUNEGATE_MODEL: found ''"):
        load_settings({}, tmp_path, {"TUNEGATE_MODEL": ""})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "margn = 1",
            r"pyproject.toml: \[tool.tunegate\] margn: unknown key; did you mean margin\?",
        ),
        ("margin = 2", r"\[tool.tunegate\] margin: found 2 \(allowed: a number from 0 to 1\)$"),
        ("margin = true", r"margin: found True \(allowed: a number from 0 to 1\)"),
        ("confirm = true", r"confirm: found True \(allowed: a whole number from 0 to 100\)"),
        ("forgetting-margin = nan", r"\[tool.tunegate\] forgetting-margin: found nan"),
        ("golden = 3", r"golden: found 3 \(allowed: a path or a list of paths\)"),
        ("model = ['a', 3]", r"model: found \['a', 3\] \(allowed: a directory or name"),
        ("judge = ['local:m', 'gpt']", r"judge: found \['local:m', 'gpt'\] \(allowed: openai:"),
        ("judge_prices = [1]", r"judge_prices: found \[1\] \(allowed: two numbers such as"),
        ("judge_prices = [1, -1]", r"judge_prices: found \[1, -1\]"),
        ("directory = 3", r"directory: found 3 \(allowed: a text that is not empty\)"),
        (
            "chat_template_kwargs = {messages = 1}",
            r"allowed: values that a template reads; messages is not one",
        ),
        ("margin = [1]", r"\[tool.tunegate\] margin: found \[1\]"),
        ("fail_on = 'never'", r"fail_on: found 'never' \(allowed: regress | inconclusive | case\)"),
        ("batch_tokens = 0", "batch_tokens: found 0 .*a whole number from 1"),
        ("forgetting = 'maybe'", "forgetting: found 'maybe' .*true | false"),
        ("margin = ", "pyproject.toml: Invalid value"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_is_allowed(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        load_settings({}, write(tmp_path, text), {})


WRONG_KINDS = {
    bool: ["1", "0", "1.0", "'true'", "[true]", "2020-01-01"],
    int: ["true", "3.0", "'3'", "[3]"],
    float: ["true", "'3.0'", "[3.0]"],
    int | None: ["true", "3.0", "0", "[3]", "'some'", "'3'"],
    float | None: ["false", "'0.1'", "[0.1]"],
    str: ["3", "true", "['a']"],
    str | None: ["3", "true", "['a']"],
    tuple[str, ...]: ["3", "true", "[3]", "[true]", "['local:a', 1]"],
    tuple[str, ...] | None: ["3", "true", "[3]", "[true]"],
}
KINDS = {name: field.annotation for name, field in Settings.model_fields.items()}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, kind in KINDS.items() for text in WRONG_KINDS.get(kind, ())]
)
def test_a_value_of_pyproject_has_the_kind_of_its_setting(tmp_path, name, text):
    """The file has types: 1 isn't true, true isn't 1, and a text is no number."""
    with pytest.raises(SettingsError, match=rf"\[tool.tunegate\] {name}: found .* \(allowed: "):
        load_settings({}, write(tmp_path, f"{name} = {text}"), {})


def test_each_kind_of_setting_has_wrong_values():
    """What remains has a type of its own: choices, prices and templates' values."""
    assert {name for name, kind in KINDS.items() if kind not in WRONG_KINDS} == {
        *("dtype", "weights", "fail_on", "server_prices", "judge_prices", "chat_template_kwargs", "keep_runs")
    }


@pytest.mark.parametrize("text", ["['0.1', 1]", "[true, 1]", "3", "true"])
def test_prices_are_numbers(tmp_path, text):
    with pytest.raises(SettingsError, match=r"judge-prices: found .* \(allowed: two numbers"):
        load_settings({}, write(tmp_path, f"judge-prices = {text}"), {})


@pytest.mark.parametrize(
    ("text", "kept"),
    [("200", (200, None)), ("'200'", (200, None)), ("'90d'", (None, 90)), ("'200, 90d'", (200, 90))],
)
def test_runs_are_kept_by_number_and_age(tmp_path, text, kept):
    assert load_settings({}, write(tmp_path, f"keep-runs = {text}"), {}).keep_runs == kept


@pytest.mark.parametrize("text", ["0", "true", "1.5", "'90 weeks'", "'1,2'", "'d'", "''"])
def test_other_ways_to_keep_runs_are_refused(tmp_path, text):
    with pytest.raises(SettingsError, match=r"keep-runs: found .* \(allowed: a number of runs"):
        load_settings({}, write(tmp_path, f"keep-runs = {text}"), {})


# Any text is a model's name, a device, a path or a tracker: those can only be found wrong when they are used.
CHECKED = [
    name
    for name in SETTINGS
    if not allowed_values(name).startswith("a text") and name not in {"model", "golden", "paths", "track"}
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


@pytest.mark.parametrize("text", ["no", "[1]", "3", '{"tokenize": false}', '{"self": []}', '{"a": NaN}'])
def test_other_values_for_chat_templates_are_refused(tmp_path, text):
    with pytest.raises(SettingsError, match=r"--gate-chat-template-kwargs: found .*allowed: "):
        load_settings({"chat_template_kwargs": text}, tmp_path, {})


@pytest.mark.parametrize("text", ["[tool]\ntunegate = 3", "tool = 1", "[[tool.tunegate]]\nmargin = 1"])
def test_a_table_that_is_none_is_named(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text + "\n# tunegate\n")
    with pytest.raises(
        SettingsError, match=r"pyproject.toml: \[tool.tunegate\]: found .* \(allowed: a table\)"
    ):
        load_settings({}, tmp_path, {})


def test_only_the_given_environment_is_read(tmp_path, monkeypatch):
    """Neither the process's, nor a variable whose name is spelled otherwise, nor a file called .env."""
    monkeypatch.setenv("TUNEGATE_MARGIN", "0.5")
    (tmp_path / ".env").write_text("TUNEGATE_MARGIN=0.4\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings({"confirm": "3"}, tmp_path, {"tunegate_margin": "0.3"}) == Settings(confirm=3)


def test_the_wrong_value_of_the_source_that_wins_is_told(tmp_path):
    """A right value below it is no comfort, and a wrong one below it is of no account."""
    root = write(tmp_path, "margin = 7\nconfirm = 'x'")
    with pytest.raises(SettingsError, match=r"^TUNEGATE_MARGIN: found 'x'"):
        load_settings({"confirm": "3"}, root, {"TUNEGATE_MARGIN": "x"})
    with pytest.raises(SettingsError, match=r"^--gate-margin: found '2'"):
        load_settings({"margin": "2", "confirm": "3"}, root, {"TUNEGATE_MARGIN": "0.1"})
    assert load_settings({"margin": "0.2", "confirm": "3"}, root, {}).margin == 0.2


@pytest.mark.parametrize(
    ("text", "judges"),
    [
        ("local:/my models/a b", ("local:/my models/a b",)),
        (r"local:C:\my models\c:d reward:x y@0.5", (r"local:C:\my models\c:d", "reward:x y@0.5")),
        ('["local:a openai:b", "reward:c"]', ("local:a openai:b", "reward:c")),
        ("openai:m@http://h:8000/v1\nlocal:a", ("openai:m@http://h:8000/v1", "local:a")),
    ],
)
def test_a_judge_s_path_may_have_spaces(tmp_path, text, judges):
    assert load_settings({}, tmp_path, {"TUNEGATE_JUDGE": text}).judge == judges


def test_a_list_of_judges_or_prices_may_be_a_list_or_a_text(tmp_path):
    root = write(tmp_path, "judge = ['local:a', 'reward:b', 'openai:c@http://d']\njudge-prices = [0.15, 1]")
    settings = load_settings({}, root, {})
    assert settings.judge == ("local:a", "reward:b", "openai:c@http://d")
    assert settings.judge_prices == (0.15, 1.0)
    settings = load_settings(
        {}, tmp_path / "none", {"TUNEGATE_JUDGE": "local:a  reward:b", "TUNEGATE_JUDGE_PRICES": "1/2"}
    )
    assert (settings.judge, settings.judge_prices) == (("local:a", "reward:b"), (1.0, 2.0))


def test_a_command_s_option_is_named_as_the_command_spells_it():
    with pytest.raises(
        SettingsError, match=r"^--dtype: found 'int3' \(allowed: auto \| float32 \| bfloat16 \| float16\)$"
    ):
        settings_of_command(dtype="int3")
    with pytest.raises(SettingsError, match=r"^--judge: found 'gpt' \(allowed: openai:"):
        settings_of_command(judge=("gpt",))


@pytest.mark.parametrize("text", ['{"a":', "[" * 100_000, "3", ""])
def test_values_that_are_no_json_are_told_what_is_allowed(tmp_path, text):
    with pytest.raises(SettingsError, match=r'\(allowed: JSON such as \{"enable_thinking": false\}\)$'):
        load_settings({"chat_template_kwargs": text}, tmp_path, {})


def test_a_judge_s_directory_in_pyproject_is_relative_to_it(tmp_path, monkeypatch):
    (tmp_path / "judges" / "reward one").mkdir(parents=True)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    at = tmp_path / "judges/reward one"
    for written, read in [
        ('"reward:judges/reward one@0.5"', (f"reward:{at}@0.5",)),
        ('["local:judges/reward one", "local:smollm2"]', (f"local:{at}", "local:smollm2")),
        ('"openai:m@http://127.0.0.1:1/v1"', ("openai:m@http://127.0.0.1:1/v1",)),
        ('"reward:nowhere/there"', ("reward:nowhere/there",)),
    ]:
        (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\njudge = {written}\n")
        assert load_settings({}, tmp_path, {}).judge == read
    # An option is relative to where it is typed.
    assert load_settings({"judge": "reward:judges/x"}, tmp_path, {}).judge == ("reward:judges/x",)


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "value", [DEEP, "1" * 5_001, "'" + "x" * 100_000 + "'"], ids=["deep", "long", "text"]
)
def test_a_file_or_value_beyond_any_reader_is_one_short_line(tmp_path, value):
    (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\nmargin = {value}\n")
    for given in ({}, {"TUNEGATE_LOOKS": value}):
        with pytest.raises(SettingsError) as error:
            load_settings({}, tmp_path, given)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < len(str(tmp_path)) + 400
        (tmp_path / "pyproject.toml").unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["directory", "history", "baseline", "base", "server", "golden", "accept"])
def test_an_empty_name_is_refused(tmp_path, name):
    """An empty directory would be the project's own, and nothing is chosen by an empty variable."""
    with pytest.raises(SettingsError, match=rf"^{environment_variable(name)}: found '' .allowed: "):
        load_settings({}, tmp_path, {environment_variable(name): ""})
    with pytest.raises(SettingsError, match=rf"\[tool.tunegate\] {name}: found '' .allowed: "):
        load_settings({}, write(tmp_path, f"{name} = ''"), {})


@pytest.mark.parametrize(("key", "meant"), [("Margin", "margin"), ("MODEL", "model"), ("Fail-On", "fail-on")])
def test_a_key_in_other_letters_is_unknown(tmp_path, key, meant):
    """Whoever looks whether a model is named, before settings are read, would not see it."""
    with pytest.raises(SettingsError, match=f"{key}: unknown key; did you mean {meant}\\?$"):
        load_settings({}, write(tmp_path, f"{key} = 0.1"), {})
