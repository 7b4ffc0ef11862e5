"""How many probes are chosen for a project whose gate looks several times."""

import json
import re

import pytest

from tests.studies.test_calibration import Engine, calibrate, is_odd


@pytest.fixture
def power(tmp_path, monkeypatch, tiny_model_dir):
    """What is told of the chosen probes in a project of so many looks; half of each level passes."""
    monkeypatch.chdir(tmp_path)
    made = Engine(lambda case_id, wording: is_odd(case_id))
    monkeypatch.setattr("harness.run.generation.open_sides", made.opened)

    def told(looks, *arguments):
        (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\nlooks = {looks}\n")
        return calibrate(tiny_model_dir, "--ceiling", 0.4, "--overwrite", *arguments).stdout

    return told


def test_several_looks_need_more_probes(power):
    """The easy ones were added until an equal model passes in 80 % of runs of one look, whatever was asked."""
    one, several = (json.loads(power(looks, "--json"))["power"] for looks in (1, 5))
    assert one["looks"] is None
    assert one["pass_chance"] >= 0.8
    assert several["looks"]["pass_chance"] >= 0.8
    assert several["cases"] > one["cases"]
    assert re.search(r"with 5 looks an equal model passes them in \d+% of runs", power(5))
