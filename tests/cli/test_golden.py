"""``tunegate golden``: the dialogue of new, the lines of lint, the schema."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import new_case
from harness.cli.golden import _notes_of
from harness.cli.main import app
from harness.golden.editor_schema import golden_schema
from harness.golden.load import load_golden_set
from harness.settings import Settings
from harness.types import Check, Completion, GateSettings, GenerationSettings, GoldenCase, GoldenSet, Message

RUNNER = CliRunner()
SET = """\
name: mine
defaults: {system: Be short.}
generation: {max_new_tokens: 9}
cases:
  - {id: a, prompt: Q, references: [r], checks: [{type: contains, value: r}]}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(SET)
    return path


SAID = Completion(text="", stop_reason="stop", prompt_tokens=3, completion_tokens=9, latency_s=0.1)


@pytest.fixture
def asked(monkeypatch):
    """A model that says Lyon, and what it was asked."""
    conversations = []

    def answerer(model):
        def answer(messages, settings):
            conversations.append((model, [(m.role, m.content) for m in messages], settings.max_new_tokens))
            return replace(SAID, text="Lyon [bold]is it")

        return answer

    monkeypatch.setattr(new_case, "model_answerer", answerer)
    return conversations


def new(*arguments, text=""):
    return RUNNER.invoke(app, ["golden", "new", *map(str, arguments)], input=text)


def test_the_model_is_asked_as_the_gate_would_ask_it(path, asked):
    result = new(path, "--model", "m", text="Capital of France?\n\nParis\n1\nfrance\n")
    assert result.exit_code == 0, result.output
    assert asked == [("m", [("system", "Be short."), ("user", "Capital of France?")], 9)]
    assert "Lyon [bold]is it" in result.output
    assert path.read_text().startswith(SET + "  - id: france\n")
    (added,) = load_golden_set(path).cases[1:]
    assert added.references == ("Paris",)
    assert [check.type for check in added.checks] == ["equals"]


def test_offers_say_where_the_model_s_own_answer_fails(path, asked):
    output = new(path, "--model", "m", text="Capital of France?\n\nParis\n1\nfrance\n").output
    (line,) = [line for line in output.splitlines() if line.startswith("  1  ")]
    assert " ".join(line.split()) == "1 {type: equals} the model's answer fails it"


def test_the_model_s_answer_is_taken_with_enter(path, asked):
    assert new(path, "--model", "m", text="Capital of France?\n\n\n1\n\n").exit_code == 0
    assert load_golden_set(path).cases[1].references == ("Lyon [bold]is it",)


def test_every_option_given_asks_nothing(path, asked):
    arguments = [
        "--model",
        "m",
        "--prompt",
        "P?",
        "--answer",
        "Paris",
        "--checks",
        "1 2",
        "--id",
        "p",
        "--tag",
        "geo",
    ]
    result = new(path, *arguments)
    assert result.exit_code == 0, result.output
    (added,) = load_golden_set(path).cases[1:]
    assert (added.id, added.tags, [c.type for c in added.checks]) == (
        "p",
        ("geo",),
        ["equals", "exact-match"],
    )
    assert f"{path}:6: added p, 2 cases now" in result.output


def test_a_prompt_of_several_lines_comes_from_standard_input(path):
    result = new(path, "--prompt", "-", "--answer", "4", text="Add up:\n2\n2\n")
    assert result.exit_code == 0, result.output
    assert load_golden_set(path).cases[1].messages[-1].content == "Add up:\n2\n2"


def test_a_missing_set_is_made(tmp_path):
    assert new(tmp_path / "sets" / "fresh.yaml", text="Capital?\n\nParis\n1\n\n").exit_code == 0
    assert load_golden_set(tmp_path / "sets" / "fresh.yaml").cases[0].id == "capital"


def test_what_is_typed_wrong_is_asked_again(path):
    """An empty prompt, a check that was not offered, a taken id, an id with a space."""
    result = new(path, text="\nCapital of France?\n\nParis\n99\n2\na\nb c\nb\n")
    assert result.exit_code == 0, result.output
    assert "allowed: numbers from 1 to" in result.output
    assert "'a' is taken by line 5" in result.output
    (added,) = load_golden_set(path).cases[1:]
    assert (added.id, added.checks[0].type) == ("b", "exact-match")


def test_an_id_is_proposed_that_is_free(path):
    for _ in range(2):
        assert (
            new(
                path, "--prompt", "Capital of France?", "--answer", "Paris", "--checks", "1", text="\n"
            ).exit_code
            == 0
        )
        path.write_text(path.read_text().replace("Capital of France?", "Another"))
    assert [case.id for case in load_golden_set(path).cases] == [
        "a",
        "capital-of-france",
        "capital-of-france-2",
    ]


def test_a_weak_choice_is_told(path):
    number = "7"
    result = new(path, "--prompt", "Capital of France?", "--answer", "Paris", "--checks", number, "--id", "w")
    assert [check.type for check in load_golden_set(path).cases[1].checks] == ["length"]
    assert "an answer that only repeats the prompt passes" in result.output


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (SET.replace("defaults", "defalts"), [], "mine.yaml:2: defalts: unknown key"),
        (SET, ["--id", "a"], "mine.yaml:6: cases[1].id: 'a' is taken by line 5"),
        (SET, ["--tag", "two words"], 'cases[1].tags[0]: found "two words"'),
        (SET, ["--prompt", "{{x}}?"], "{{x}} has no value"),
        (SET, [], "--prompt is missing, and standard input has ended"),
        (SET, ["--prompt", " "], "--prompt is empty"),
        (
            SET,
            ["--prompt", "P?", "--answer", "a", "--checks", "99"],
            "--checks: found '99' (allowed: numbers from 1 to",
        ),
        (SET, ["--prompt", "P?"], "--answer is missing, and standard input has ended"),
        (SET, ["--model", "nowhere", "--prompt", "P?"], "no model 'nowhere'"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(tunegate, path, text, arguments, message):
    path.write_text(text)
    done = tunegate("golden", "new", path, *arguments)
    assert done.returncode == 4, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert message in line
    assert path.read_text() == text


def test_lint_names_every_broken_file_and_exits_with_4(tunegate, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("nam: x\ncases: []\n")
    (tmp_path / "good.yaml").write_text(SET)
    done = tunegate("golden", "lint", tmp_path)
    assert done.returncode == 4
    assert [line.rpartition("/")[2] for line in done.stderr.splitlines()] == [
        f"{name}.yaml:{fault}"
        for name in ("one", "two")
        for fault in ("1: nam: unknown key; did you mean name?", "2: cases: found [] (allowed: one or more)")
    ]


def test_lint_of_what_is_not_there(tunegate, tmp_path):
    done = tunegate("golden", "lint", cwd=tmp_path)
    assert done.returncode == 4
    assert done.stderr == "tunegate: golden_sets: can't be read: No such file or directory\n"


def test_lint_imports_nothing_heavy(path):
    code = (
        "import sys; from harness.authoring.lint import lint_golden_set; from harness.golden.load import load_golden_set; "
        f"from pathlib import Path; lint_golden_set(load_golden_set(Path({str(path)!r}))); "
        "print([m for m in ('torch', 'transformers', 'numpy', 'evaluate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_schema_is_printed_and_written(tmp_path):
    printed = RUNNER.invoke(app, ["golden", "schema"]).stdout
    RUNNER.invoke(app, ["golden", "schema", "--write", str(tmp_path / "schema.json")])
    assert json.loads(printed) == golden_schema()
    assert (tmp_path / "schema.json").read_text() == printed


def test_lint_may_fail_on_errors_only(tunegate, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: s\ncases: [{id: a, prompt: Say hello, checks: [{type: contains, value: hello}]}]\n"
    )
    done = tunegate("golden", "lint", path)
    assert done.returncode == 1
    assert "1 set, 1 finding, 0 errors" in done.stderr
    assert tunegate("golden", "lint", path, "--fail-on", "error").returncode == 0
    (found,) = json.loads(tunegate("golden", "lint", path, "--json").stdout)
    assert (found["rule"], found["level"]) == ("passes-echo", "warning")


def test_a_dialogue_asks_for_system_tags_and_cluster_and_for_another_case(path):
    typed = (
        "Capital of France?\n\nParis\n1\nfrance\nBe short.\nma(th\nmath, europe\ncapitals\ny\n"
        "Capital of Italy?\n\nRome\n1\nitaly\n\n\n\n\n"
    )
    result = new(path, text=typed)
    assert result.exit_code == 0, result.output
    france, italy = load_golden_set(path).cases[-2:]
    assert (france.messages[0].content, france.tags, france.cluster) == (
        "Be short.",
        ("math", "europe"),
        "capitals",
    )
    assert (italy.tags, italy.cluster) == ((), None)


def test_options_answer_these_questions_and_a_script_is_not_asked(path):
    arguments = ("--prompt", "Capital of Peru?", "--answer", "Lima", "--checks", "1", "--id", "peru")
    result = new(path, *arguments, "--cluster", "capitals", "--system", "Be short.", "--tag", "geo")
    assert result.exit_code == 0, result.output
    assert "Another" not in result.output
    peru = load_golden_set(path).cases[-1]
    assert (peru.messages[0].content, peru.tags, peru.cluster) == ("Be short.", ("geo",), "capitals")


@pytest.mark.parametrize(("reason", "is_marked"), [("length", True), ("stop", False)])
def test_a_cut_answer_is_marked(path, monkeypatch, reason, is_marked):
    monkeypatch.setattr(
        new_case,
        "model_answerer",
        lambda model: lambda messages, settings: replace(SAID, text="Par", stop_reason=reason),
    )
    output = new(path, "--model", "m", text="Capital of France?\n\nParis\n1\nfrance\n").output
    assert ("cut after 9 tokens (max_new_tokens)" in " ".join(output.split())) == is_marked


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no file system without files")
def test_a_path_that_cant_be_written_is_found_before_anybody_is_asked(asked):
    result = new("/proc/mine.yaml", "--model", "m", text="Q\nA\n1\na\n")
    assert (result.exit_code, asked) == (1, [])
    assert "/proc/mine.yaml: can't be written: " in str(result.exception)


def test_lint_notes_gated_metrics_that_seldom_pass_together(tmp_path):
    cases = "".join(
        f"  - {{id: a{n}, prompt: Q{n}, references: [r{n}], checks: [{{type: exact-match}}, {{type: rouge-l}}, "
        f"{{type: bleu}}]}}\n"
        for n in range(70)
    )
    gate = "gate: {metrics: {rouge-l: {margin: 0.05}, bleu: {margin: 0.05}}}"
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\ncases:\n{cases}{gate}\n", encoding="utf-8")
    output = " ".join(RUNNER.invoke(app, ["golden", "lint", str(path)]).output.split())
    assert "an equal model passes its 3 gated metrics together in" in output
    path.write_text(f"name: mine\ncases:\n{cases}", encoding="utf-8")
    assert "together" not in RUNNER.invoke(app, ["golden", "lint", str(path)]).output


@pytest.mark.parametrize("command", [["golden", "lint"], ["power", "--golden"]])
def test_lint_and_power_note_prompts_of_one_template(tmp_path, command):
    """They are no fault of a case, so the exit status is 0."""
    path = tmp_path / "mine.yaml"
    cases = "".join(
        f"  - {{id: a{n}, prompt: How much is {n} plus {n + 3} apples?, checks: [{{type: equals, value: v{n}}}]}}\n"
        for n in range(70)
    )
    path.write_text(f"name: mine\ncases:\n{cases}", encoding="utf-8")
    result = RUNNER.invoke(app, [*command, str(path)])
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert "70 prompts are alike but for names, numbers or one word (such as a0, a1, a2)" in told
    path.write_text(f"name: mine\ncases:\n{cases}gate: {{population: cases}}\n", encoding="utf-8")
    assert "alike but for" not in RUNNER.invoke(app, [*command, str(path)]).output


def test_lint_takes_the_number_of_looks_and_notes_keys_without_effect(tmp_path):
    cases = "".join(
        f"  - {{id: a{n}, prompt: Q{n}, references: [r{n}], checks: [{{type: exact-match}}]}}\n"
        for n in range(70)
    )
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"name: mine\ngate: {{max_regressed: 0, margin: 0.06}}\ncases:\n{cases}", encoding="utf-8"
    )
    once, often = (RUNNER.invoke(app, ["golden", "lint", f"--looks={looks}", str(path)]) for looks in (1, 10))
    assert (once.exit_code, often.exit_code) == (0, 0)
    idle = "gate.max_regressed has no effect: each case is answered once"
    assert [idle in " ".join(each.output.split()) for each in (once, often)] == [True, True]
    assert ["at the last look" in each.output for each in (once, often)] == [False, True]


@pytest.mark.parametrize(
    ("setting", "how"),
    [
        (
            "",
            "note: computed in bfloat16 (dtype auto, on a GPU that has it) or answered by a server, it can pass",
        ),
        ("dtype = 'bfloat16'", "note: computed in bfloat16, it can pass"),
        ("engine = 'vllm'", "note: answered by a server, it can pass"),
        ("dtype = 'float32'", None),
    ],
)
def test_lint_says_for_which_computation_own_cases_pass(tmp_path, monkeypatch, setting, how):
    cases = "".join(
        f"  - {{id: a{n}, prompt: Q{n}, references: [r{n}], checks: [{{type: exact-match}}]}}\n"
        for n in range(54)
    )
    (tmp_path / "mine.yaml").write_text(f"name: mine\ngate: {{population: cases}}\ncases:\n{cases}", "utf-8")
    (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\n{setting}\n")
    monkeypatch.chdir(tmp_path)
    result = RUNNER.invoke(app, ["golden", "lint", "mine.yaml"])
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert (how in told) if how else ("note:" not in told)


def test_a_note_of_another_way_of_computing_hides_no_other_note():
    """Where nobody says how answers are computed, bfloat16 may never pass: six gated metrics seldom do in float32."""
    judged = ("faithfulness", "answer-relevancy", "context-recall", "context-precision", "llm-reference")
    cases = tuple(
        GoldenCase(
            id=str(number),
            set_name="s",
            messages=(Message(role="user", content=str(number)),),
            checks=tuple(Check(type=each) for each in ("equals", *judged)),
            generation=GenerationSettings(temperature=0.0),
        )
        for number in range(300)
    )
    gate = GateSettings(population="cases", metric_margins=dict.fromkeys(judged, 0.05))
    golden_set = GoldenSet(name="s", path="s.yaml", cases=cases, gate=gate)
    told = {device: _notes_of(golden_set, Settings(device=device)) for device in ("cpu", "auto")}
    seldom = [each for each in told["cpu"] if "gated metrics together in" in each]
    assert len(seldom) == 1
    assert seldom[0] in told["auto"]
    assert len(told["auto"]) > len(told["cpu"])
