"""``tunegate power``: what sets can show, and how many cases a margin needs."""

import json

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import GoldenError, SettingsError

RUNNER = CliRunner()
# A reference of so many tokens that none of them moves its mean much.
LONG = "The order is for Bob from Paris who asks for four blue kettles and one red cup"


def write_set(directory, name, cases, clusters=None, gate=""):
    lines = [f"name: {name}", "cases:"]
    for place in range(cases):
        cluster = "" if clusters is None else f", cluster: c{place % clusters}"
        lines.append(
            f"  - {{id: a{place}, prompt: Q{place}, checks: [{{type: contains, value: r}}]{cluster}}}"
        )
    path = directory / f"{name}.yaml"
    path.write_text("\n".join([*lines, gate]) + "\n", encoding="utf-8")
    return path


def power(*arguments, probes="--no-forgetting"):
    result = RUNNER.invoke(app, ["power", *map(str, arguments), *filter(None, [probes])])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_table_says_what_the_sets_detect_and_need(tmp_path):
    write_set(tmp_path, "mine", 50)
    output = " ".join(power("--golden", tmp_path, "--margin", "0.05").split())
    assert "mine 50 0.05 ≥ 0.14" in output
    assert "1 gated metric, 2.0% of cases flip by chance" in output


def test_the_sets_own_margin_counts_unless_one_is_wanted(tmp_path):
    path = write_set(tmp_path, "mine", 50, gate="gate: {margin: 0.2}")
    (own,) = json.loads(power("--golden", path, "--json"))
    (wanted,) = json.loads(power("--golden", path, "--json", "--margin", "0.1"))
    assert (own["margin"], wanted["margin"]) == (0.2, 0.1)
    assert own["units_if_equal"] < wanted["units_if_equal"]
    assert own["pass_chance"] > wanted["pass_chance"]


def test_clusters_count_once(tmp_path):
    path = write_set(tmp_path, "mine", 60, clusters=20)
    (found,) = json.loads(power("--golden", path, "--json"))
    assert (found["cases"], found["units"]) == (60, 20)
    assert "60 in 20 " in " ".join(power("--golden", path).split())


def test_a_set_that_never_passes_is_told_what_helps(tmp_path):
    write_set(tmp_path, "mine", 40)
    shown = power("--golden", tmp_path)
    assert "mine: it can pass its gate only by gains: with 40" in shown
    assert "add independent cases, widen the margin" in shown


@pytest.mark.parametrize(
    ("setting", "options", "asked", "told"),
    [
        ("", (), 5, False),
        ("looks = 5", (), 5, True),
        ("looks = 3", (), 3, True),
        ("looks = 5", ("--looks", "1"), None, False),
        ("", ("--looks", "5"), 5, True),
    ],
)
def test_the_looks_of_the_project_count(tmp_path, monkeypatch, setting, options, asked, told):
    """At the last of five looks 70 equal answers leave a drop of 0.06 open, at once one of 0.04; the margin is 0.05."""
    path = write_set(tmp_path, "mine", 70, gate="gate: {margin: 0.05}")
    (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\n{setting}\n")
    monkeypatch.chdir(tmp_path)
    (found,) = json.loads(power("--golden", path, "--json", *options))
    assert asked == (found["looks"] and found["looks"]["looks"])
    output = " ".join(power("--golden", path, *options).split())
    assert ("it can pass its gate at the last look only by gains" in output) is told
    assert ("looks a set passes less often and detects less than the table says" in output) is told
    if told:
        assert found["looks"]["pass_chance"] < found["pass_chance"] - 0.1


def test_more_sets_share_the_level(tmp_path):
    first, second = write_set(tmp_path, "a", 50), write_set(tmp_path, "b", 50)
    (alone,) = json.loads(power("--golden", first, "--json"))
    beside, _ = json.loads(power("--golden", first, "--golden", second, "--json"))
    assert beside["detectable_drop"] > alone["detectable_drop"]
    together = f"All 2 sets of an equal model pass together in {beside['pass_chance'] ** 2:.0%}"
    assert together in " ".join(power("--golden", first, "--golden", second).split())
    assert "together" not in power("--golden", first)


def test_an_early_stop_beside_further_metrics_is_a_bound(tmp_path):
    """All gated metrics of a set have to pass at one look, and only the pass rate is simulated."""
    alone = write_set(tmp_path, "alone", 200)
    beside = write_set(tmp_path, "beside", 200, gate="gate: {metrics: {contains: {margin: 0.05}}}")
    shown = {path: " ".join(power("--golden", path).split()) for path in (alone, beside)}
    (found,) = json.loads(power("--golden", beside, "--json"))
    looks = found["looks"]
    bounds = f"≥ {looks['equal_share']:.2f}×, ≤ {looks['harmful_share']:.2f}× ≤ {looks['pass_chance']:.0%}"
    assert f"early stop {bounds}" in shown[beside]
    assert "of beside for the pass rate alone: a set stops where all" in shown[beside]
    assert "early stop ≥" not in shown[alone]
    assert "for the pass rate alone" not in shown[alone]


def test_more_churn_needs_more_cases(tmp_path):
    path = write_set(tmp_path, "mine", 50)
    (calm,), (noisy,) = (
        json.loads(power("--golden", path, "--json", "--churn", churn)) for churn in ("0.01", "0.1")
    )
    assert calm["units_if_equal"] < noisy["units_if_equal"]
    assert calm["detectable_drop"] < noisy["detectable_drop"]


def test_a_directory_without_sets_is_refused(tmp_path):
    result = RUNNER.invoke(app, ["power", "--golden", str(tmp_path)])
    assert isinstance(result.exception, GoldenError)
    assert "contains no golden set" in str(result.exception)
    with pytest.raises(GoldenError):
        raise result.exception


def test_a_set_about_its_own_cases_passes_without_a_change(tmp_path):
    """50 cases and a margin of 0.2: eleven lost ones are more than it tolerates."""
    path = write_set(tmp_path, "mine", 50, gate="gate: {margin: 0.2, population: cases}")
    (found,) = json.loads(power("--golden", path, "--json"))
    assert (found["pass_chance"], found["detectable_drop"]) == (1.0, pytest.approx(11 / 50))
    assert "its own" in power("--golden", path)


@pytest.mark.parametrize(
    ("setting", "chance", "told"),
    [
        ("", 1.0, "reproduce in float32 on one kind of device, for which its figures hold"),
        ("dtype = 'float32'", 1.0, "a set that asks about its own cases reproduce."),
        ("dtype = 'bfloat16'", 0.0, "vary where they are in bfloat16"),
        ("engine = 'vllm'", 0.0, "vary where they are of a server"),
    ],
)
def test_figures_of_own_cases_are_those_of_the_projects_computation(
    tmp_path, monkeypatch, setting, chance, told
):
    """54 single answers pass at once where they reproduce; where they may not, none of equal models does."""
    path = write_set(tmp_path, "mine", 54, gate="gate: {population: cases}")
    (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\n{setting}\n")
    monkeypatch.chdir(tmp_path)
    (found,) = json.loads(power("--golden", path, "--json"))
    assert found["pass_chance"] == pytest.approx(chance, abs=0.02)
    output = " ".join(power("--golden", path).split())
    assert told in output
    assert ("a drop of 0.163 possible" in output) is ("float32'" not in setting)


def test_gated_metrics_of_a_set_pass_less_often_together(tmp_path):
    path = tmp_path / "mine.yaml"
    cases = "".join(
        f"  - {{id: a{n}, prompt: Q{n}, references: [{LONG}], checks: [{{type: contains, value: r}}, "
        f"{{type: rouge-l}}, {{type: perplexity}}]}}\n"
        for n in range(90)
    )
    gate = "gate: {metrics: {rouge-l: {margin: 0.05}, perplexity: {margin: 0.1}}}"
    path.write_text(f"name: mine\ncases:\n{cases}{gate}\n", encoding="utf-8")
    (found,) = json.loads(power("--golden", path, "--json", "--looks", "1"))
    chances = {metric: of["pass_chance"] for metric, of in found["metrics"].items()}
    # A score may move by its whole scale, as a verdict does; a log-probability has no rare huge moves.
    assert chances["rouge-l"] == pytest.approx(found["pass_chance"], abs=0.03)
    assert found["pass_chance"] < 0.85
    assert chances["perplexity"] > 0.99
    output = " ".join(power("--golden", path).split())
    product = found["pass_chance"] * chances["rouge-l"] * chances["perplexity"]
    assert f"All 3 gated metrics of an equal model pass together in {product:.0%}" in output
    wide = json.loads(power("--golden", path, "--json", "--spread", "1.0"))[0]["metrics"]
    assert wide["perplexity"]["pass_chance"] < 0.5


def test_what_more_would_buy(tmp_path):
    path = write_set(tmp_path, "mine", 60)
    (found,) = json.loads(power("--golden", path, "--json", "--churn", "0.05"))
    ways = {way["name"]: way for way in found["ways"]}
    now, twice, repeats, likelihood = ways.values()
    assert next(iter(ways)) == "as it is"
    assert (now["pass_chance"], now["detectable"]) == (found["pass_chance"], found["detectable_drop"])
    assert twice["pass_chance"] > now["pass_chance"] + 0.1
    assert repeats["detectable"] == pytest.approx(1 / 60)
    assert repeats["detectable"] < now["detectable"]
    assert repeats["pass_chance"] > now["pass_chance"]
    assert likelihood["pass_chance"] > 0.9
    assert (twice["answers"], repeats["answers"], likelihood["answers"]) == (2, 5, 0)


def test_an_early_stop_answers_less_than_half_where_the_verdict_is_clear(tmp_path):
    """500 cases, a margin of 0.05: an equal model, and one that lost 20 points."""
    path = write_set(tmp_path, "mine", 500)
    (found,) = json.loads(power("--golden", path, "--json"))
    looks = found["looks"]
    assert looks["looks"] == 5
    assert 0.2 <= looks["harmful_share"] < looks["equal_share"] < 0.5
    assert looks["pass_chance"] > 0.95
    assert f"early stop {looks['equal_share']:.2f}×, {looks['harmful_share']:.2f}×" in " ".join(
        power("--golden", path).split()
    )
    (whole,) = json.loads(power("--golden", path, "--json", "--looks", "1"))
    assert whole["looks"] is None


def test_the_margin_is_the_project_s_as_in_its_gate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path, "sums", 40, gate="gate: {margin: 0.02}")
    (tmp_path / "pyproject.toml").write_text("[tool.tunegate]\nmargin = 0.3\ngolden = 'sums.yaml'\n")
    (row,) = json.loads(power("--json"))
    assert row["margin"] == 0.3
    assert json.loads(power("--json", "--margin=0.1"))[0]["margin"] == 0.1
    lint = RUNNER.invoke(app, ["golden", "lint"])
    assert "can pass its gate only" not in lint.output
    (tmp_path / "pyproject.toml").write_text("[tool.tunegate]\ngolden = 'sums.yaml'\n")
    assert "its margin is 0.02" in " ".join(RUNNER.invoke(app, ["golden", "lint"]).output.split())


def write_graded(path, number, *metrics, gate=""):
    """A set of so many cases with these checks, which only grade."""
    checks = ", ".join(f"{{type: {metric}}}" for metric in metrics)
    cases = "".join(
        f"  - {{id: a{n}, prompt: Q{n}, references: [{LONG}], checks: [{checks}]}}\n" for n in range(number)
    )
    path.write_text(f"name: mine\ncases:\n{cases}{gate}\n", encoding="utf-8")


def test_a_set_that_only_grades_is_no_pass_rate(tmp_path):
    path = tmp_path / "mine.yaml"
    gate = "gate: {metrics: {rouge-l: {margin: 0.05}, perplexity: {margin: 0.1}}}"
    write_graded(path, 80, "rouge-l", "perplexity", gate=gate)
    output = " ".join(power("--golden", path).split())
    assert "mine rouge-l 80 0.05" in output
    assert "2 gated metrics" in output
    assert "All 2 gated metrics of an equal model pass together" in output
    linted = RUNNER.invoke(app, ["golden", "lint", str(path)])
    assert (linted.exit_code, "0 findings" in linted.output) == (0, True)
    write_graded(path, 80, "rouge-l", "perplexity")
    output = " ".join(power("--golden", path).split())
    assert "nothing is gated" in output
    assert "mine can't pass: 80 of its cases have neither" in output


def test_a_lint_counts_the_metrics_that_cases_have(tmp_path):
    path = tmp_path / "mine.yaml"
    gate = "gate: {metrics: {rouge-l: {margin: 0.05}, bleu: {margin: 0.05}}}"
    write_graded(path, 62, "rouge-l", "bleu", gate=gate)
    assert (
        "an equal model passes its 2 gated metrics"
        in RUNNER.invoke(app, ["golden", "lint", str(path)]).output
    )


def test_each_metric_says_what_it_detects_or_why_that_is_unknown(tmp_path):
    path = tmp_path / "mine.yaml"
    gate = "gate: {metrics: {rouge-l: {margin: 0.05}, perplexity: {margin: 0.1}, tokens: {margin: 9}}}"
    write_graded(path, 80, "rouge-l", "perplexity", "tokens", gate=gate)
    (found,) = json.loads(power("--golden", path, "--json"))
    of = found["metrics"]
    output = " ".join(power("--golden", path).split())
    assert 0.05 < of["perplexity"]["detectable_drop"] < of["rouge-l"]["detectable_drop"] < 0.2
    assert f"mine perplexity 80 0.10 ≥ {of['perplexity']['detectable_drop']:.2f}" in output
    assert f"mine rouge-l 80 0.05 ≥ {of['rouge-l']['detectable_drop']:.2f}" in output
    assert of["tokens"]["detectable_drop"] is None
    assert of["tokens"]["pass_chance"] is None
    assert "mine tokens 80 9.00 unknown unknown" in output
    assert "All 2 gated metrics with a known chance" in output
    assert "mine tokens: the scale has no end" in output


def test_of_times_it_is_unknown_how_much_they_vary(tmp_path):
    """They are compared by their logarithm, whatever the baseline's mean is."""
    path = tmp_path / "mine.yaml"
    gate = "gate: {metrics: {rouge-l: {margin: 0.05}, latency: {margin: 0.1}}}"
    write_graded(path, 80, "rouge-l", "latency", gate=gate)
    output = " ".join(power("--golden", path).split())
    assert "mine latency 80 0.10 unknown unknown" in output
    assert "mine latency: compared by the logarithm" in output
    assert "depend on how much it varies, which no model has shown yet" in output
    assert "the baseline's mean" not in output


def test_an_early_stop_of_several_answers_is_unknown(tmp_path):
    path = write_set(tmp_path, "mine", 60)
    assert "is unknown" not in power("--golden", path)
    text = path.read_text(encoding="utf-8").replace(
        "checks:", "repeat: 3, generation: {temperature: 0.7}, checks:"
    )
    path.write_text(text, encoding="utf-8")
    assert "early stop of mine is unknown" in " ".join(power("--golden", path).split())
    assert "is unknown" not in power("--golden", path, "--looks", "1")


def test_the_bundled_probes_count_as_in_the_gate(tmp_path, monkeypatch):
    """25 cases in 5 clusters have p = 0.03125 at least, and with the probes twice that: no drop is found."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "golden_sets").mkdir()
    path = write_set(tmp_path / "golden_sets", "mine", 25, clusters=5)
    (alone,) = json.loads(power("--json"))
    mine, probes = json.loads(power("--json", probes=""))
    assert (alone["detectable_drop"], alone["bundled"]) == (pytest.approx(0.28, abs=0.02), False)
    assert (mine["detectable_drop"], mine["bundled"]) == (None, False)
    assert (probes["name"], probes["cases"], probes["margin"], probes["bundled"]) == (
        "general",
        130,
        0.1,
        True,
    )
    assert (probes["ways"], probes["looks"]) == ([], None)
    told = " ".join(power(probes="").split())
    assert "2 gated metrics with the bundled probes, 2.0% of cases" in told
    assert "general 130 in 81 0.10" in told
    assert "(bundled)" in told
    together = mine["pass_chance"] * probes["pass_chance"]
    assert f"All 2 sets of an equal model pass together in {together:.0%}" in told
    note = (
        "mine: its pass rate can regress only beside another metric: 5 clusters can all get worse by chance with "
        "a probability of 0.03125, which counts 2 times for 2 tests, with the bundled probes: make it 6 clusters"
    )
    assert note in told
    assert " ".join(power("--golden", path, probes="").split()) == told
    without = " ".join(power().split())
    assert "1 gated metric, 2.0% of cases" in without
    assert "bundled" not in without
    assert "regress only" not in without


@pytest.mark.parametrize(
    ("setting", "options", "names"),
    [
        ("", [], ["mine", "general"]),
        ("", ["--no-forgetting"], ["mine"]),
        ("forgetting = false", [], ["mine"]),
        ("forgetting = false", ["--forgetting"], ["mine", "general"]),
        ("model = 'heads'", [], ["mine"]),
        ("own", [], ["mine", "own"]),
        ("own", ["--no-forgetting"], ["mine"]),
    ],
)
def test_probes_are_counted_where_the_gate_asks_them(tmp_path, monkeypatch, setting, options, names):
    """Not without forgetting, nor of a multi-task model, nor beside a set of the project's that probes it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "golden_sets").mkdir()
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads" / "multitask.json").write_text("{}")
    write_set(tmp_path / "golden_sets", "mine", 30)
    if setting == "own":
        write_set(tmp_path / "golden_sets", "own", 30, gate="probes_forgetting: true")
    else:
        (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\n{setting}\n")
    found = json.loads(power("--json", *options, probes=""))
    assert [each["name"] for each in found] == names


def test_a_margin_that_is_tried_is_that_of_the_project_s_own_sets(tmp_path):
    """The probes keep theirs, as under ``--gate-margin``."""
    path = write_set(tmp_path, "mine", 30)
    found = json.loads(power("--golden", path, "--margin", "0.03", "--json", probes=""))
    assert [each["margin"] for each in found] == [0.03, 0.1]


def test_probes_alone_are_nothing_to_count_without_forgetting(tmp_path):
    path = write_set(tmp_path, "own", 30, gate="probes_forgetting: true")
    result = RUNNER.invoke(app, ["power", "--golden", str(path), "--no-forgetting"])
    assert isinstance(result.exception, SettingsError)
    assert "all golden sets probe forgetting" in str(result.exception)


def test_two_small_sets_can_never_regress_together(tmp_path):
    """Beside an equal set of five clusters, that one shows no more, and neither is rejected first."""
    paths = [write_set(tmp_path, name, 25, clusters=5) for name in ("s", "u")]
    told = " ".join(power(*(f"--golden={path}" for path in paths)).split())
    for name in ("s", "u"):
        assert f"{name}: its pass rate can never regress: 5 clusters" in told
    assert told.count("which counts 2 times for 2 tests: make it 6 clusters") == 2


def test_references_of_a_word_need_more_cases_in_power_and_lint(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    write_graded(path, 80, "perplexity", gate="gate: {metrics: {perplexity: {}}}")
    assert json.loads(power("--golden", path, "--json"))[0]["metrics"]["perplexity"]["pass_chance"] > 0.99
    path.write_text(path.read_text(encoding="utf-8").replace(LONG, "blue"), encoding="utf-8")
    assert json.loads(power("--golden", path, "--json"))[0]["metrics"]["perplexity"]["pass_chance"] < 1e-6
    linted = " ".join(RUNNER.invoke(app, ["golden", "lint", str(path)]).output.split())
    assert "perplexity can pass its gate only by gains: with 80 cases even equal answers leave" in linted
