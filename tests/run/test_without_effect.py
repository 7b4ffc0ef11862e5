"""Every setting is judged: a rule says when it does nothing, or it always acts, or it is refused elsewhere."""

from pathlib import Path

from harness.run.without_effect import RULES
from harness.settings import SETTINGS

ALWAYS = {"model", "baseline", "golden", "forgetting", "directory", "cache", "history", "keep_runs", "track"}
# The command line that names a path says that only this is meant.
ALWAYS |= {"paths", "accept", "engine"}
# Refused in harness.run.inputs where they can't act.
REFUSED = {"base", "server", "model_id"}


def test_every_setting_is_judged():
    ruled = {name for rule in RULES for name in rule.names}
    assert ruled | ALWAYS | REFUSED == set(SETTINGS)
    assert not ruled & (ALWAYS | REFUSED)


def test_every_rule_has_a_session():
    """In tests/plugin/test_idle_options.py, by what it says."""
    sessions = (Path(__file__).parents[1] / "plugin" / "test_idle_options.py").read_text()
    assert [
        rule.why
        for rule in RULES
        if rule.why.split(" no verdict")[0].partition(":")[0] not in sessions.replace('" "', "")
    ] == []
