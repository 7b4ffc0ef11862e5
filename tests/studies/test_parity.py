"""One adapter computed in several ways: what changes is told with its size."""

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.engines.open import describe_model
from harness.errors import SettingsError
from harness.golden.load import load_golden_set
from harness.studies.parity import check_plans, measure_parity

CASES = "\n".join(
    f"  - {{id: c{n}, prompt: what is w{n}, checks: [{{type: regex, value: 'w'}}]}}" for n in range(8)
)


@pytest.fixture
def golden(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(f"name: small\ngeneration: {{max_new_tokens: 4}}\ncases:\n{CASES}\n")
    return path


def test_merging_in_float32_changes_rounding_only_and_four_bits_change_more(tiny_adapter_dir, golden):
    model, sets = describe_model(str(tiny_adapter_dir)), [load_golden_set(golden)]
    found = measure_parity(model, ["peft", "merged", "nf4", "bf16"], sets, lambda *_: None)
    merged, nf4, half = found[:3]
    assert merged.same_text.estimate == 1.0
    assert merged.flips.estimate == 0.0
    assert 0 < merged.largest_logit_change < 1e-3
    assert nf4.largest_logit_change > 100 * merged.largest_logit_change
    assert half.largest_logit_change > merged.largest_logit_change
    assert [(pair.against, pair.plan) for pair in found] == [
        ("peft", "merged"),
        ("peft", "nf4"),
        ("peft", "bf16"),
        ("merged", "nf4"),
        ("merged", "bf16"),
        ("nf4", "bf16"),
    ]
    assert found[3].largest_logit_change == pytest.approx(nf4.largest_logit_change, rel=0.05)


def test_unknown_plans_and_single_ones_are_refused():
    with pytest.raises(SettingsError, match=r"--plans: found 'int3' \(allowed: two or more of peft, merged"):
        check_plans(["peft", "int3"])
    with pytest.raises(SettingsError, match="peft is not a pair"):
        check_plans(["peft"])


def test_the_command_prints_a_row_a_plan(tiny_adapter_dir, golden):
    arguments = [
        "parity",
        "--model",
        str(tiny_adapter_dir),
        "--plans",
        "peft,merged",
        "--golden",
        str(golden),
        "--no-forgetting",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "against" in result.output
    assert "100.0% [" in result.output
