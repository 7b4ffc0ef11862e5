"""Several candidates are answered together, judged each, and ranked without overstating."""

import json

import pytest
from typer.testing import CliRunner

from harness.cache import Cache
from harness.cli.main import app
from harness.engines.open import describe_model
from harness.errors import AdapterError
from harness.golden.load import load_golden_set
from harness.history.store import open_history
from harness.ranking import find_adapters, rank_models
from harness.types import GateVerdict, Stability

CASES = "\n".join(
    f"  - {{id: c{n}, prompt: what is w{n}, checks: [{{type: regex, value: 'w'}}]}}" for n in range(12)
)


@pytest.fixture
def adapters(tmp_path, tiny_model_dir, make_tiny_adapter):
    for name, spread in (("mild", 0.3), ("wild", 3.0)):
        make_tiny_adapter(tiny_model_dir, tmp_path / "adapters" / name, spread=spread)
    return tmp_path / "adapters"


@pytest.fixture
def golden(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(f"name: small\ngeneration: {{max_new_tokens: 4}}\ncases:\n{CASES}\n")
    return path


def test_a_directory_stands_for_the_adapters_in_it(adapters):
    assert find_adapters([str(adapters)]) == [str(adapters / "mild"), str(adapters / "wild")]
    with pytest.raises(AdapterError, match="give two models or more"):
        find_adapters([str(adapters / "mild")])
    with pytest.raises(AdapterError, match="named twice"):
        find_adapters([str(adapters), str(adapters / "mild")])


def test_each_candidate_has_the_figures_of_its_own_gate_at_a_stricter_level(
    adapters, golden, tiny_model_dir, tmp_path
):
    """Alone or together, a candidate gains the same; together its interval is wider."""
    candidates = [describe_model(path) for path in find_adapters([str(adapters)])]
    sets = [load_golden_set(golden)]
    base = describe_model(str(tiny_model_dir))
    both = rank_models(candidates, base, sets, Cache(None), tmp_path, lambda *_: None)
    alone = rank_models(candidates[:1], base, sets, Cache(None), tmp_path, lambda *_: None)
    mild = next(ranked for ranked in both if ranked.record.run.model.label.endswith("mild"))
    assert mild.gain.estimate == alone[0].gain.estimate
    assert mild.gain.confidence == pytest.approx(0.95)
    assert alone[0].gain.confidence == pytest.approx(0.90)
    assert mild.gain.high - mild.gain.low > alone[0].gain.high - alone[0].gain.low


def test_the_front_holds_whoever_is_beaten_by_none(adapters, golden, tiny_model_dir, tmp_path):
    candidates = [describe_model(path) for path in find_adapters([str(adapters)])]
    found = rank_models(
        candidates,
        describe_model(str(tiny_model_dir)),
        [load_golden_set(golden)],
        Cache(None),
        tmp_path,
        lambda *_: None,
    )
    best = max(ranked.gain.estimate for ranked in found)
    assert [ranked.on_front for ranked in found] == [ranked.gain.estimate == best for ranked in found]
    verdicts = [ranked.record.verdict.outcome is GateVerdict.REGRESS for ranked in found]
    assert verdicts == sorted(verdicts)


def test_the_command_keeps_each_gate_in_the_history(adapters, golden, tmp_path):
    arguments = ["rank", str(adapters), "--golden", str(golden), "--directory", str(tmp_path / "kept")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code in {0, 1}, result.output
    with open_history(tmp_path / "kept" / "history.sqlite") as history:
        lines = history.list_runs()
        assert len(lines) == 2
        assert (result.exit_code == 1) == any(line.verdict == "regress" for line in lines)


def test_reruns_of_the_baseline_are_heeded_as_in_a_single_gate(adapters, golden, tiny_model_dir, tmp_path):
    """A case that the baseline itself passed and failed is marked in each candidate's gate."""
    candidates = [describe_model(path) for path in find_adapters([str(adapters)])]
    base = describe_model(str(tiny_model_dir))
    asked = []

    def noted(model, dtype, cases):
        asked.append((model, dtype))
        return {cases[0].key: Stability(passed=3, answers=5)}

    sets = [load_golden_set(golden)]
    found = rank_models(candidates, base, sets, Cache(None), tmp_path, lambda *_: None, noted)
    assert asked == [(base, "float32")]
    assert [list(ranked.record.comparison.unstable) for ranked in found] == [["small/c0"]] * 2


def test_each_candidate_s_divergence_from_the_baseline_is_measured(adapters, tmp_path, tiny_model_dir):
    """The wild adapter moves the next word's probabilities further than the mild one."""
    path = tmp_path / "probes.yaml"
    path.write_text(
        f"name: probes\nprobes_forgetting: true\ngeneration: {{max_new_tokens: 4}}\ncases:\n{CASES}\n"
    )
    candidates = [describe_model(path) for path in find_adapters([str(adapters)])]
    base = describe_model(str(tiny_model_dir))
    found = rank_models(candidates, base, [load_golden_set(path)], Cache(None), tmp_path, lambda *_: None)
    apart = {
        ranked.record.run.model.label.rpartition("/")[2]: ranked.record.comparison.forgetting.divergence
        for ranked in found
    }
    assert apart["wild"].low > apart["mild"].estimate > 0


def test_json_holds_every_gate(adapters, golden, tmp_path):
    arguments = [
        "rank",
        str(adapters),
        "--golden",
        str(golden),
        "--directory",
        str(tmp_path / "kept"),
        "--json",
    ]
    result = CliRunner().invoke(app, arguments)
    found = json.loads(result.stdout)
    assert {ranked["record"]["run"]["model"]["label"] for ranked in found} == {
        str(adapters / "mild"),
        str(adapters / "wild"),
    }
    assert all(ranked["record"]["verdict"]["outcome"] for ranked in found)
