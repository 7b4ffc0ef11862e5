"""ragas' metrics over several sessions of one judge, as at the looks of a training."""

from dataclasses import replace
from importlib.util import find_spec

import pytest

from harness.golden.load import load_golden_set
from harness.judge.open import open_judge
from harness.judge.panel import Panel
from harness.run.cache import Cache
from harness.run.scoring import Judging, score_cases
from tests.metrics.rag_judges import by_words
from tests.metrics.test_rag import CASE, completion

# Found, not imported: whoever collects the tests would wait for it.
pytestmark = pytest.mark.skipif(find_spec("ragas") is None, reason="the extra rag is not installed")


def test_in_another_session_a_vote_is_made_of_that_sessions_replies(judge_server, tmp_path):
    """The next look of a training has the same answer; the judge's name stands for another since."""
    judge_server.answer = by_words
    (tmp_path / "s.yaml").write_text(CASE.format(check="{type: faithfulness}"))
    case = load_golden_set(tmp_path / "s.yaml").cases[0]
    other = replace(case, id="other")
    texts = {case.key: completion("The Moon."), other.key: completion("The Sun.")}
    with (
        Cache(tmp_path / "cache.sqlite") as cache,
        Panel([open_judge(judge_server.spec, cache, environment={})]) as panel,
    ):
        for _ in range(2):
            score_cases([case], texts, judging=Judging(panel=panel))
            assert panel.scorer == "scripted"
            panel.begin()
        judge_server.fields = {"model": "august"}
        results = panel.by_one_judge(lambda: score_cases([case, other], texts, judging=Judging(panel=panel)))
    assert all("(august, ragas" in result.scores[0].explanation for result in results)
