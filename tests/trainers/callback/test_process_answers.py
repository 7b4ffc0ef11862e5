"""What a look's own process answers by: the project's settings, but for those that a look has no use for."""

import pytest

from harness.baselines.accept import accept_run
from trainers.callback.process_answers import answer_request


@pytest.fixture
def looked(place, tiny_adapter_dir):
    """The record of a look at the tiny adapter, in a project with further settings."""

    def look(project, **given):
        (place.path / "pyproject.toml").write_text(f"[tool.tunegate]\n{project}")
        request = {"golden": [str(place.golden)], "forgetting": False, "model": [str(tiny_adapter_dir)]}
        return answer_request({**request, **given})

    return look


def test_settings_of_the_project_that_have_no_meaning_at_a_look_refuse_none(looked, place):
    """Gates of finished models have them: a look that is refused at each save says nothing of any."""
    usual = looked("")
    assert (len(usual.run.results), usual.run.plan.dtype) == (40, "float32")
    early = looked('looks = 5\nfail_on = "case"\n')
    assert [each.completion.text for each in early.run.results] == [
        each.completion.text for each in usual.run.results
    ]
    accept_run(usual.run, "shipped", "why", place.path, allow_dirty=True)
    assert looked("confirm = 5\n", baseline="shipped").baseline is not None


def test_the_project_says_how_the_checkpoint_is_run(looked):
    """As a gate of the checkpoint runs it."""
    assert looked('dtype = "bfloat16"\n').run.plan.dtype == "bfloat16"
