"""An adapter against the one before it: what was forgotten is measured against both, that one and their base."""

import json

import pytest

PROBES = """\
name: g
probes_forgetting: true
cases:
"""
PROBE = "  - {{id: a{n}, prompt: Say yes {n}, tags: [words], checks: [{{type: contains, value: 'yes'}}]}}\n"
N = 60


@pytest.fixture
def generations(project, tiny_model_dir, tmp_path, make_tiny_adapter, write_golden):
    """A base that passes 60 probes, a first adapter that fails 4 of them, a second one that fails 4 more."""
    (project.pytester.path / "golden_sets/general").mkdir(parents=True, exist_ok=True)
    (project.pytester.path / "golden_sets/general/g.yaml").write_text(
        PROBES + "".join(PROBE.format(n=n) for n in range(N))
    )
    project.wrong |= {"candidate": {f"a{n}" for n in range(8)}, "baseline": {f"a{n}" for n in range(4)}}
    project.loss |= {"candidate": 2.15, "baseline": 2.08, "base": 2.0}
    return project, make_tiny_adapter(tiny_model_dir, tmp_path / "first", spread=0.3, seed=5)


def run(project, *arguments, **rest):
    return project.run(
        "golden_sets", "--gate-json=record.json", "--gate-margin=0.5", *arguments, forgetting=True, **rest
    )


def record(project):
    return json.loads((project.pytester.path / "record.json").read_text())


def test_both_are_told(generations):
    """Each step alone is small; the sum is beyond the tripwire, and is noted there."""
    project, first = generations
    result = run(project, f"--gate-baseline={first}")
    comparison = record(project)["comparison"]
    previous, since = comparison["forgetting"], comparison["forgetting_since_base"]
    assert (previous["overall"]["retained"], previous["overall"]["passed_by_baseline"]) == (52, 56)
    assert (since["overall"]["retained"], since["overall"]["passed_by_baseline"]) == (52, 60)
    assert previous["loss_change"]["estimate"] == pytest.approx(0.07)
    assert since["loss_change"]["estimate"] == pytest.approx(0.15)
    assert (previous["tripped"], since["tripped"]) == (False, True)
    result.stdout.fnmatch_lines(["forgetting  kept 52 of 56*", "*since base  kept 52 of 60*"])
    page = next(project.pytester.path.rglob("report.html")).read_text()
    assert "Forgetting since the base" in page


def test_the_base_answers_the_probes_alone(generations):
    """The capitals, which are no probes, are not asked of it."""
    project, first = generations
    run(project, f"--gate-baseline={first}")
    of_base = [question for question in project.asked if question.startswith("base:")]
    assert sorted(of_base) == sorted(f"base:a{n}" for n in range(N))


def test_against_the_base_itself_it_is_told_once(generations):
    project, _ = generations
    run(project)
    assert record(project)["comparison"]["forgetting_since_base"] is None
    assert not any(question.startswith("base:") for question in project.asked)


def test_a_stored_run_of_another_adapter_is_no_obstacle(generations):
    """The previous adapter's weights may be gone: its stored answers and the base, which is available, do."""
    project, first = generations
    project.wrong |= {"candidate": {f"a{n}" for n in range(4)}, "baseline": set()}
    run(project, f"--model={first}", model=False)
    project.wrong["candidate"] = {f"a{n}" for n in range(8)}
    run(project, "--gate-baseline=latest")
    comparison = record(project)["comparison"]
    assert comparison["forgetting"]["overall"]["passed_by_baseline"] == 56
    assert comparison["forgetting_since_base"]["overall"]["passed_by_baseline"] == 60


def test_without_the_probes_nothing_is_asked_of_the_base(generations):
    project, first = generations
    project.run(
        "golden_sets/capitals.yaml", f"--gate-baseline={first}", "--gate-json=record.json", forgetting=True
    )
    assert record(project)["comparison"]["forgetting_since_base"] is None
    assert not any(question.startswith("base:") for question in project.asked)
