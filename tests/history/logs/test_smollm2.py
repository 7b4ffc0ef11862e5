"""Real logs of SmolLM2 and the demo's two adapters, made by the tools themselves: our own gate's verdict on them.

How they were made is in benchmarks/other_tools.
"""

import json
from pathlib import Path

import pytest

from harness.baselines.run_file import open_pair
from harness.comparison.gate import run_gate

DATA = Path(__file__).parent / "data" / "smollm2"
# What the gate itself found on the same cases, models and checks.
OWN = json.loads((DATA / "own.json").read_text())
MARGIN = 0.1  # of the forgetting probes


def found(tool, candidate):
    sides = (str(DATA / tool / side) for side in ("base", candidate))
    pair = open_pair(tuple(sides), history=None, choices={})
    comparison, verdict = run_gate(pair.candidate, pair.baseline, margin=MARGIN)
    return {each.set_name: each for each in comparison.metrics if each.metric == "pass-rate"}, verdict


@pytest.mark.parametrize("candidate", OWN)
@pytest.mark.parametrize("tool", ["lm_eval", "inspect"])
def test_the_tools_logs_get_our_verdict_and_our_figures(tool, candidate):
    """All compute in float32 what a prompt's greedy answer is: each figure is the same."""
    rows, verdict = found(tool, candidate)
    assert str(verdict.outcome) == OWN[candidate]["verdict"]
    for name, own in OWN[candidate]["sets"].items():
        row = rows[name]
        passed = [round(side.mean.estimate * row.n) for side in (row.baseline, row.candidate)]
        assert (row.n, *passed) == (own["n"], own["baseline"], own["candidate"])
        assert (len(row.lost), len(row.gained)) == (own["lost"], own["gained"])
