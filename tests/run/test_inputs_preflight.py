"""What is missing for the selected cases is told before a model loads."""

import pytest

from harness.errors import SettingsError
from harness.golden.load import load_golden_set
from harness.judge.calibration import Calibration
from harness.judge.trust import save_calibration
from harness.run.cache import Cache
from harness.run.inputs import make_ready
from harness.run.judging import open_panel
from harness.run.scoring import Judging
from harness.settings import Settings

CASES = """\
name: judged
cases:
  - {id: one, prompt: Why?, checks: [{type: llm-rubric, value: Gives a reason.}]}
  - {id: two, prompt: Why?, checks: [{type: llm-rubric, value: Gives a reason.}], skip: no longer asked}
"""


@pytest.fixture
def golden_set(tmp_path):
    path = tmp_path / "judged.yaml"
    path.write_text(CASES)
    return load_golden_set(path)


@pytest.fixture
def judging(monkeypatch):
    """A judge at a server that is never asked."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Cache(None) as cache:
        panel = open_panel(Settings(judge=("openai:scripted@http://127.0.0.1:9/v1",)), cache)
        with panel:
            yield Judging(panel=panel)


def test_a_judge_is_needed_for_what_is_asked_only(golden_set, tmp_path):
    with pytest.raises(SettingsError, match=r"judged/one: llm-rubric needs a judge: .*\(1 of the selected"):
        make_ready([golden_set], Judging(), tmp_path)


def test_a_judge_that_was_never_held_against_labels_is_taken_and_that_is_said(golden_set, judging, tmp_path):
    ready, note = make_ready([golden_set], judging, tmp_path)
    assert ready == judging
    assert note.startswith("not calibrated")


def test_an_unreliable_judge_is_refused_where_it_would_decide(golden_set, judging, tmp_path):
    found = Calibration(
        judge=judging.panel.identity, prompts={}, labelled={}, items=40, measures=(), reasons=("kappa 0.1",)
    )
    save_calibration(found, tmp_path)
    with pytest.raises(SettingsError, match=r"UNRELIABLE: kappa 0.1; llm-rubric of judged/one"):
        make_ready([golden_set], judging, tmp_path)


def test_of_a_judge_that_has_nothing_to_do_nothing_is_said(judging, tmp_path):
    path = tmp_path / "plain.yaml"
    path.write_text("name: plain\ncases:\n  - {id: a, prompt: P, checks: [{type: contains, value: x}]}\n")
    assert make_ready([load_golden_set(path)], judging, tmp_path) == (judging, "")
