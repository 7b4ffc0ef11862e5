"""The judge ``keyword:WORD``: an answer satisfies any rubric if it has the word."""

import json
from collections.abc import Mapping

from harness.judge.spec import JudgeSpec
from harness.types import JudgeReply, JudgeRequest


def open_keyword(spec: JudgeSpec, timeout_s: float, environment: Mapping[str, str]) -> "KeywordJudge":
    """The judge of a spec; nothing is loaded yet."""
    return KeywordJudge(spec.model)


class KeywordJudge:
    """Looks for one word."""

    remote = False
    retried = 0

    def __init__(self, word: str) -> None:
        """Note the word."""
        self.identity = f"keyword:{word}"
        self.requests = 0
        self._word = word

    async def ask(self, request: JudgeRequest) -> JudgeReply:
        """Reply in the form of the question's schema: a reason, and yes or no."""
        self.requests += 1
        found = self._word in request.answers[0].lower()
        reason = f"{self._word!r} {'is' if found else 'is not'} in the answer"
        reply = {"reason": reason, "pass": found}
        return JudgeReply(text=json.dumps(reply), model=self.identity)

    async def close(self) -> None:
        """There is nothing to close."""
