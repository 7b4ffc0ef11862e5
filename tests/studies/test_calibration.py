"""A base's own probes: which cells and cases are chosen, and the command that writes them."""

import json
import re

import pytest
from typer.testing import CliRunner

from harness.authoring.levels.chosen import level_sets
from harness.authoring.levels.writing import all_families, cases_of
from harness.cli.main import app
from harness.comparison.pairing import PASS_RATE
from harness.engines.open import choose_plan, describe_model
from harness.errors import CasesFailedError, GoldenError, SettingsError, TextsUnmeasuredError
from harness.golden.load import gate_content, load_golden_set
from harness.run.cache import Cache
from harness.statistics.power import USUAL_CHURN
from harness.studies.calibration import WORDINGS, CellUse, choose_probes, measure_stability, unanswerable
from harness.studies.set_power import power_of_set
from harness.types import Completion, GoldenCase, GoldenSet, Message, Stability

RUNNER = CliRunner()
RIGHT = {
    case["id"]: probe.right
    for family in all_families()
    for case, probe in zip(cases_of(family), family.probes, strict=True)
}


# ---- the choice


def level(name, **skills):
    """A set with the named numbers of cases of each skill; ``sums=(10, 4)``: ten cases, of which four pass."""
    cases = [
        GoldenCase(
            id=f"{skill}{n}", set_name=name, messages=(Message(role="user", content="?"),), tags=(skill,)
        )
        for skill, (count, _) in skills.items()
        for n in range(count)
    ]
    stability = {
        f"{name}/{skill}{n}": Stability(passed=3 if n < passed else n % 3, answers=3)
        for skill, (count, passed) in skills.items()
        for n in range(count)
    }
    return GoldenSet(name=name, path="", cases=tuple(cases)), stability


def choose(*levels, suffices=lambda cases: True):
    stability = {key: value for _, one in levels for key, value in one.items()}
    choice = choose_probes([each for each, _ in levels], stability, floor=0.2, ceiling=0.9, suffices=suffices)
    return choice, {(cell.skill, cell.level): cell.use for cell in choice.cells}


def test_cells_between_floor_and_ceiling_give_what_passes_in_all_wordings():
    choice, uses = choose(
        level("easy", sums=(10, 10)), level("medium", sums=(10, 6)), level("hard", sums=(10, 1))
    )
    assert uses == {
        ("sums", "easy"): CellUse.TOO_EASY,
        ("sums", "medium"): CellUse.BETWEEN,
        ("sums", "hard"): CellUse.TOO_HARD,
    }
    assert [case.key for case in choice.cases] == [f"medium/sums{n}" for n in range(6)]
    (medium,) = [cell for cell in choice.cells if cell.level == "medium"]
    assert (medium.cases, medium.passed, medium.unstable) == (10, 6, 2)


def test_the_bounds_themselves_fit():
    _, uses = choose(level("easy", a=(10, 2), b=(10, 9), c=(10, 1), d=(10, 10), e=(10, 0)))
    assert uses["a", "easy"] == uses["b", "easy"] == CellUse.BETWEEN
    assert uses["c", "easy"] == uses["e", "easy"] == CellUse.TOO_HARD
    assert uses["d", "easy"] == CellUse.ONLY_EASY


def test_a_skill_that_is_easy_throughout_keeps_its_hardest_level():
    choice, uses = choose(level("easy", sums=(5, 5)), level("hard", sums=(5, 5)))
    assert uses == {("sums", "easy"): CellUse.TOO_EASY, ("sums", "hard"): CellUse.ONLY_EASY}
    assert {case.set_name for case in choice.cases} == {"hard"}


def test_easy_levels_are_added_hardest_first_until_they_suffice():
    levels = level("easy", sums=(9, 9)), level("medium", sums=(9, 9)), level("hard", sums=(9, 5))
    few, uses = choose(*levels, suffices=lambda cases: len(cases) >= 10)
    assert uses["sums", "medium"] is CellUse.ADDED
    assert uses["sums", "easy"] is CellUse.TOO_EASY
    assert len(few.cases) == 14
    everything, uses = choose(*levels, suffices=lambda cases: False)
    assert len(everything.cases) == 23
    assert uses["sums", "easy"] is CellUse.ADDED


def test_what_was_not_asked_is_in_no_cell():
    easy, stability = level("easy", sums=(10, 5))
    del stability["easy/sums0"]
    choice, _ = choose((easy, stability))
    assert choice.cells[0].cases == 9
    assert [case.id for case in choice.cases] == ["sums1", "sums2", "sums3", "sums4"]


# ---- the answers


class Engine:
    """Right answers, but for the cases that a test lets fail, in all wordings or in one."""

    def __init__(self, fails=lambda case_id, wording: False):
        self.fails, self.asked, self.plan = fails, [], None

    def opened(self, sides, plan):
        self.plan = plan
        return self

    def generate(self, requests, on_batch):
        for place, request in enumerate(requests):
            case_id, _, wording = request.key.partition("/")[2].partition("~")
            last = request.messages[-1].content
            self.asked.append((case_id, int(wording), request.messages[0].content))
            fails = self.fails(case_id, int(wording))
            text = "{}" if fails else RIGHT[case_id]
            assert last
            on_batch(
                {
                    place: Completion(
                        text=text, stop_reason="stop", prompt_tokens=9, completion_tokens=3, latency_s=0.01
                    )
                }
            )

    def losses(self, requests, on_batch):
        raise AssertionError("no probe needs a loss")

    def largest_logit_change(self, side):
        return 1.0


def is_odd(case_id):
    return sum(map(ord, case_id)) % 2 == 1


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    monkeypatch.setattr("harness.run.generation.open_sides", made.opened)
    return made


def test_each_case_is_asked_in_further_wordings_while_it_passes(tiny_model_dir):
    made = Engine(lambda case_id, wording: case_id == "half-1" or (case_id == "half-2" and wording == 1))
    model = describe_model(str(tiny_model_dir))
    plan = choose_plan("float32", "cpu", 4096, [model])
    cases = [case for case in level_sets()[0].cases if case.id.startswith(("half", "turns-name", "spider"))]
    found = measure_stability(
        model, plan, cases, Cache(None), lambda *_: None, open_engine=made.opened
    ).stability
    assert found["easy/half-1"] == Stability(passed=0, answers=1)
    assert found["easy/half-2"] == Stability(passed=1, answers=2)
    assert found["easy/turns-name-1"] == Stability(passed=3, answers=3)
    wordings = {
        name: [wording for case_id, wording, _ in made.asked if case_id == name]
        for name in ("half-1", "half-2", "spider-legs")
    }
    assert wordings == {"half-1": [0], "half-2": [0, 1], "spider-legs": [0, 1, 2]}
    texts = [text for case_id, _, text in made.asked if case_id == "spider-legs"]
    assert [text.removesuffix(texts[0]) for text in texts] == list(WORDINGS)


def test_a_probe_without_a_verdict_is_no_failed_one(tiny_model_dir):
    """Where an answer breaks in whatever wording, nobody knows if the model passes it."""

    class BrokenEngine(Engine):
        def generate(self, requests, on_batch):
            lost = {place: each.key.partition("/")[2] for place, each in enumerate(requests)}
            lost = {place: name for place, name in lost.items() if name in {"half-1~0", "half-2~2"}}
            places = [place for place in range(len(requests)) if place not in lost]
            given = lambda batch: on_batch({places[place]: each for place, each in batch.items()})  # noqa: E731
            super().generate([requests[place] for place in places], given)
            if lost:
                raise CasesFailedError(dict.fromkeys(lost, "the time limit ended it"))

    made = BrokenEngine(lambda case_id, wording: case_id == "turns-name-1" and wording == 2)
    model = describe_model(str(tiny_model_dir))
    plan = choose_plan("float32", "cpu", 4096, [model])
    cases = [case for case in level_sets()[0].cases if case.id.startswith(("half", "turns-name-1", "spider"))]
    found = measure_stability(
        model, plan, cases, Cache(None), lambda *_: None, open_engine=made.opened
    ).stability
    assert found["easy/turns-name-1"] == Stability(passed=2, answers=3)
    assert found["easy/spider-legs"] == Stability(passed=3, answers=3)
    assert {case.key for case in cases} - set(found) == {"easy/half-1", "easy/half-2"}


def test_a_grade_that_is_not_measured_takes_no_verdict(tiny_model_dir, tmp_path):
    """A check that decides nothing and needs a loss broke each case behind a server that scores no text."""

    class TextlessEngine(Engine):
        def losses(self, requests, on_batch):
            raise TextsUnmeasuredError(dict.fromkeys(range(len(requests)), "no echo"))

    case = "{id: spider-legs, prompt: How many?, references: ['8'], checks: [{type: not-equals, value: x}, "
    case += "{type: perplexity}]}"
    (tmp_path / "small.yaml").write_text(f"name: small\ncases: [{case}]\n")
    model = describe_model(str(tiny_model_dir))
    plan, cases = choose_plan("float32", "cpu", 4096, [model]), load_golden_set(tmp_path / "small.yaml").cases
    found = measure_stability(
        model, plan, cases, Cache(None), lambda *_: None, open_engine=TextlessEngine().opened
    )
    assert found.stability == {"small/spider-legs": Stability(passed=3, answers=3)}


def test_the_model_is_loaded_once_for_all_wordings(engine, tiny_model_dir):
    model = describe_model(str(tiny_model_dir))
    plan = choose_plan("float32", "cpu", 4096, [model])
    cases = level_sets()[0].cases[:3]
    opened = []

    def open_engine(sides, wanted):
        opened.append(dict(sides))
        return engine.opened(sides, wanted)

    measure_stability(model, plan, cases, Cache(None), lambda *_: None, open_engine=open_engine)
    assert len(opened) == 1
    assert len(engine.asked) == 9


def test_what_leaves_the_context_is_not_asked(tiny_model_dir):
    """The tiny model's context is 512 tokens; hard reports are longer."""
    model = describe_model(str(tiny_model_dir))
    plan = choose_plan("float32", "cpu", 4096, [model])
    hard = level_sets()[2].cases
    problems = unanswerable(model, plan, hard, Cache(None))
    long = {case.key for case in hard if case.tags[0] == "long-context"}
    assert long <= set(problems)
    assert all("context of 512" in problems[key] for key in long)
    assert "hard/power-of-two-1" not in problems


# ---- the command


def calibrate(*arguments):
    return RUNNER.invoke(app, ["probes", "calibrate", *map(str, arguments)])


def test_the_command_writes_a_set_that_replaces_the_bundled_probes(
    engine, tiny_model_dir, tmp_path, monkeypatch
):
    """Half of each skill is passed; code may not run; the long reports don't fit."""
    monkeypatch.chdir(tmp_path)
    engine.fails = lambda case_id, wording: is_odd(case_id)
    result = calibrate(tiny_model_dir, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    path = tmp_path / "golden_sets" / "probes.yaml"
    golden_set = load_golden_set(path)
    assert golden_set.probes_forgetting
    assert len(golden_set.cases) == found["power"]["cases"]
    assert found["power"]["pass_chance"] >= 0.8
    chosen = {case.id for case in golden_set.cases}
    assert not any(is_odd(case_id) for case_id in chosen)
    assert {"code", "long-context"} & {case.tags[0] for case in golden_set.cases} <= {"long-context"}
    assert any("allow-code-checks" in reason for reason in found["left_out"])
    assert any("context" in reason for reason in found["left_out"])
    content = gate_content([path.parent], forgetting=True)
    assert [each.name for each in content.sets] == ["probes"]
    again = calibrate(tiny_model_dir)
    assert isinstance(again.exception, SettingsError)
    assert "--overwrite" in str(again.exception)
    told = calibrate(tiny_model_dir, "--overwrite")
    assert told.exit_code == 0, told.output
    assert re.search(r"word-problems +easy +\d+ of 16 ", told.output)
    assert f"{len(chosen)} probes of" in told.output


def test_the_chosen_probes_detect_what_the_gate_does(engine, tiny_model_dir, tmp_path, monkeypatch):
    """Beside other sets the probes have a part of the level; they were told to have all of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "golden_sets").mkdir()
    cases = "".join(f"  - {{id: c{n}, prompt: what is {n}, references: ['{n}']}}\n" for n in range(60))
    other = tmp_path / "golden_sets" / "orders.yaml"
    checks = (
        "defaults: {checks: [{type: contains}, {type: rouge-l}]}\ngate: {metrics: {rouge-l: {margin: 0.05}}}"
    )
    other.write_text(f"name: orders\n{checks}\ncases:\n{cases}")
    found = json.loads(calibrate(tiny_model_dir, "--json").stdout)["power"]
    told = {each["name"]: each for each in json.loads(RUNNER.invoke(app, ["power", "--json"]).stdout)}
    assert found["detectable_drop"] == told["probes"]["detectable_drop"]
    alone = power_of_set(load_golden_set(other.with_name("probes.yaml")), {PASS_RATE: 0.1}, USUAL_CHURN, 0.05)
    assert (found["margin"], found["detectable_drop"] > alone.detectable_drop) == (0.1, True)
    other.write_text("name: orders\ncases: 3\n")
    assert isinstance(calibrate("nowhere", "--overwrite").exception, GoldenError)


@pytest.mark.processes
def test_code_is_asked_where_it_may_run(engine, tiny_model_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEGATE_ALLOW_CODE_CHECKS", "true")
    engine.fails = lambda case_id, wording: is_odd(case_id) or ("code" not in case_id and wording == 5)
    result = calibrate(tiny_model_dir, "--max-reasoning-tokens", 30)
    assert result.exit_code == 0, result.output
    golden_set = load_golden_set(tmp_path / "golden_sets" / "probes.yaml")
    assert "code" in {case.tags[0] for case in golden_set.cases}
    assert {case.generation.max_reasoning_tokens for case in golden_set.cases} == {30}


def test_a_model_that_passes_too_little_leaves_the_bundled_probes(
    engine, tiny_model_dir, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    engine.fails = lambda case_id, wording: True
    result = calibrate(tiny_model_dir)
    assert isinstance(result.exception, SettingsError)
    assert "(--floor 0 and --ceiling 1 take 0: too few)" in str(result.exception)
    assert not (tmp_path / "golden_sets").exists()
    assert re.search(r"word-problems +easy +0 of 16 +0 +left out: too hard", result.output)
    assert re.search(r"\d+ probes were left out: they run code, which allow-code-checks", result.output)
    machine = calibrate(tiny_model_dir, "--json")
    assert isinstance(machine.exception, SettingsError)
    assert machine.stdout == ""


def test_levels_and_skills_can_be_asked_alone(engine, tiny_model_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    skills = ("arithmetic", "word-problems", "knowledge", "instructions", "json")
    asked = [word for skill in skills for word in ("--skill", skill)]
    result = calibrate(
        tiny_model_dir, "--json", "--ceiling", 1, "--level", "easy", "--level", "medium", *asked
    )
    assert result.exit_code == 0, result.output
    cells = {(cell["skill"], cell["level"]) for cell in json.loads(result.stdout)["cells"]}
    assert cells == {(skill, level) for skill in skills for level in ("easy", "medium")}
    few = calibrate(tiny_model_dir, "--skill", "arithmetic", "--overwrite")
    assert "of the skills and levels that were asked" in str(few.exception)
    for option, name, allowed in (
        ("--level", "hardest", "easy | medium | hard"),
        ("--skill", "sums", "knowl"),
    ):
        refused = calibrate("nowhere", option, name, "--overwrite")
        assert f"{option}: found {name!r} (allowed: {allowed}" in str(refused.exception)


def test_bounds_that_take_too_few_are_told_what_others_would_take(
    engine, tiny_model_dir, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    engine.fails = lambda case_id, wording: is_odd(case_id)
    result = calibrate(tiny_model_dir, "--floor", 0.85)
    assert re.search(r"\(--floor 0 and --ceiling 1 take [1-9]\d+: enough\)", str(result.exception))


def test_options_are_checked_before_a_model_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "--floor 0.9" in str(calibrate("nowhere", "--floor", "0.9", "--ceiling", "0.5").exception)
    assert "--dtype: found" in str(calibrate("nowhere", "--dtype", "int3").exception)


def test_an_output_that_could_not_be_used_is_refused_before_a_model_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "file").touch()
    for output, why in (
        ("probes.txt", "no gate reads it there (allowed: NAME.yaml, NAME.yml)"),
        ("_probes.yaml", "no gate reads it there"),
        ("folder.yaml", "it is a directory"),
        ("file/probes.yaml", "which is not a directory"),
    ):
        refused = calibrate("nowhere", "--output", output, "--overwrite").exception
        assert isinstance(refused, SettingsError), output
        assert f"--output {output}: " in str(refused)
        assert why in str(refused)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    refused = calibrate("nowhere", "--output", "below/probes.yaml").exception
    assert str(refused) == f"--output below/probes.yaml: {tmp_path} can't be written"


def test_answers_that_are_reasoning_alone_are_told(engine, tiny_model_dir, tmp_path, monkeypatch):
    """A base that thinks has no room for it in the probes' limits, and would seem to be able to do nothing."""
    monkeypatch.chdir(tmp_path)
    cut = Completion(
        text="<think>Let me see", stop_reason="length", prompt_tokens=9, completion_tokens=3, latency_s=0.01
    )

    def generate(requests, on_batch):
        on_batch(dict.fromkeys(range(len(requests)), cut))

    monkeypatch.setattr(engine, "generate", generate)
    refused = str(calibrate(tiny_model_dir, "--level", "easy").exception)
    assert re.search(r"passes too few probes .*; \d{3} probes got reasoning and no answer", refused)
    assert "--max-reasoning-tokens" in refused


def test_the_table_is_whole_in_80_columns(engine, tiny_model_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    told = calibrate(tiny_model_dir)
    assert told.exit_code == 0, told.output
    assert "…" not in told.output
    assert re.search(r"refusal +hard +8 of 8 +0 +chosen: too easy, but its hardest", told.output)
