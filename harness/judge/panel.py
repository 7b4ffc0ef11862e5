"""One judge or several: they get the same questions, and their votes are combined."""

import statistics
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar

from harness.engines.workers.functions import Dealer
from harness.errors import JudgeError, SettingsError
from harness.judge.verdicts import VALUES, pair_verdict, preference, single_verdict, swapped
from harness.statistics.agreement import krippendorff_alpha
from harness.types import JudgeReply, JudgeRequest, JudgeUsage, JudgeVerdict

if TYPE_CHECKING:
    from harness.judge.client import Judge

Reply: TypeAlias = JudgeReply | JudgeError
Vote: TypeAlias = JudgeVerdict | JudgeError
_T = TypeVar("_T")


class Panel:
    """Judges that get the same questions.

    Attributes:
        dealer: Deals the work of judges and encoders on this machine to workers; None without any.
    """

    def __init__(self, judges: "Sequence[Judge]", dealer: Dealer | None = None) -> None:
        """Store the judges.

        Args:
            judges: The judges.
            dealer: Deals work to workers.

        Raises:
            SettingsError: Their number is even, so a vote could be a tie.
        """
        if len(judges) % 2 == 0:
            raise SettingsError(
                f"{len(judges)} judges: a panel needs an odd number, so that a vote is never a tie"
            )
        self.judges, self.dealer = tuple(judges), dealer
        if dealer is not None:
            for judge in self.judges:
                judge.deal_by(dealer)
        self._votes: dict[str, dict[Hashable, tuple[float | None, ...]]] = {}

    @property
    def votes(self) -> dict[str, list[tuple[float | None, ...]]]:
        """Each judge's latest value for each question, by task; None where it gave no verdict."""
        return {task: list(votes.values()) for task, votes in self._votes.items()}

    @property
    def identity(self) -> str:
        """Identifies the judges, in a fixed order."""
        return " + ".join(sorted(judge.identity for judge in self.judges))

    @property
    def scorer(self) -> str:
        """Who judges, wherever it runs, as the replies so far say it; empty without any."""
        return " + ".join(sorted(filter(None, (judge.scorer for judge in self.judges))))

    @property
    def renewals(self) -> int:
        """How often another session began, or stored replies were another judge's than today's."""
        return sum(judge.renewals for judge in self.judges)

    @property
    def dealt(self) -> list[str]:
        """The names of each judge that has several: its server deals the questions to several models."""
        return [judge.scorer for judge in self.judges if len(judge.names) > 1]

    def begin(self) -> None:
        """Begin another session with the judges."""
        for judge in self.judges:
            judge.begin()

    def renew(self) -> None:
        """Forget stored replies that are another judge's than today's; they are then asked anew."""
        for judge in self.judges:
            judge.renew()

    def settle(self) -> None:
        """The same, where nothing was asked either: most of the stored replies then say who judges."""
        for judge in self.judges:
            judge.settle()

    def ask_anew(self) -> bool:
        """Ask each judge a question that was asked none in this session: its reply says who judges today.

        Returns:
            Whether any was asked, and answered.
        """
        asked = [judge.ask_anew() for judge in self.judges]
        return any(asked)

    def by_one_judge(self, score: Callable[[], _T]) -> _T:
        """What a function scores, once more where a new reply shows that stored ones were another judge's.

        Args:
            score: Asks the judges; the same each time.
        """
        self.renew()
        while True:
            renewals, found = self.renewals, score()
            self.settle()
            if self.renewals == renewals:
                return found

    @property
    def overlaps(self) -> bool:
        """Whether judging costs this machine little, so that it may run beside generation."""
        return all(judge.overlaps for judge in self.judges)

    @property
    def usage(self) -> JudgeUsage:
        """Requests, tokens and cost so far, of all judges together."""
        parts = [judge.usage for judge in self.judges]
        costs = [part.cost for part in parts if part.cost is not None]
        return JudgeUsage(
            requests=sum(part.requests for part in parts),
            retried=sum(part.retried for part in parts),
            from_cache=sum(part.from_cache for part in parts),
            failed=sum(part.failed for part in parts),
            unstructured=sum(part.unstructured for part in parts),
            prompt_tokens=sum(part.prompt_tokens for part in parts),
            completion_tokens=sum(part.completion_tokens for part in parts),
            cost=sum(costs) if costs else None,
        )

    def prepare(self) -> None:
        """Import what the judges need; nothing is sent."""
        for judge in self.judges:
            judge.prepare()

    def start(self, requests: Sequence[JudgeRequest]) -> None:
        """Ask all judges without waiting; the same question later gets this reply."""
        for request in requests:
            for judge in self.judges:
                judge.submit(request)

    def verdict_so_far(self, request: JudgeRequest) -> Vote | None:
        """The panel's verdict on a question that was asked, if every reply has come; counted nowhere."""
        from harness.judge.client import outcome_of

        asked = [judge.submit(request) for judge in self.judges]
        if not all(future.done() for future in asked):
            return None
        replies = [outcome_of(future) for future in asked]
        return combine(
            [each if isinstance(each, JudgeError) else single_verdict(request, each) for each in replies]
        )

    def judge_singles(self, requests: Sequence[JudgeRequest]) -> list[Vote]:
        """The panel's verdict on each question about one answer."""
        verdicts = []
        for request, replies in zip(requests, self._ask(requests), strict=True):
            votes = [
                reply if isinstance(reply, JudgeError) else single_verdict(request, reply)
                for reply in replies
            ]
            verdicts.append(self.together(request.task, _question(request), votes))
        return verdicts

    def judge_pairs(self, pairs: Sequence[tuple[JudgeRequest, JudgeRequest]]) -> list[Vote]:
        """The panel's verdict on each pair of answers, asked in both orders."""
        replies = self._ask([request for pair in pairs for request in pair])
        verdicts = []
        for place, pair in enumerate(pairs):
            votes: list[Vote] = []
            for first, second in zip(replies[2 * place], replies[2 * place + 1], strict=True):
                failed = next((one for one in (first, second) if isinstance(one, JudgeError)), None)
                if failed is not None or isinstance(first, JudgeError) or isinstance(second, JudgeError):
                    votes.append(failed or JudgeError("no reply"))
                else:
                    votes.append(pair_verdict(pair, (first, second))[0])
            verdicts.append(self.together("pairwise", tuple(map(_question, pair)), votes))
        return verdicts

    def judge_pair(
        self, first: JudgeRequest, second: JudgeRequest
    ) -> tuple[Vote, tuple[float, float] | None]:
        """The panel's verdict on one pair, and the value of each order.

        Args:
            first: The question with the answer shown first.
            second: The same with the answer shown second.

        Returns:
            The verdict; and the mean value over the judges with the answer shown first, and shown second; in
            both, 1 is a win of the answer. None when a judge gave no reply.
        """
        replies = self._ask([first, second])
        (vote,) = self.judge_pairs([(first, second)])
        if any(isinstance(reply, JudgeError) for asked in replies for reply in asked):
            return vote, None
        shown_first = [VALUES[preference(reply)] for reply in replies[0] if isinstance(reply, JudgeReply)]
        shown_second = [
            VALUES[swapped(preference(reply))] for reply in replies[1] if isinstance(reply, JudgeReply)
        ]
        return vote, (statistics.median(shown_first), statistics.median(shown_second))

    def _ask(self, requests: Sequence[JudgeRequest]) -> list[tuple[Reply, ...]]:
        # All are sent before waiting for the first.
        self.start(requests)
        return list(zip(*(judge.ask_all(requests) for judge in self.judges), strict=True))

    def together(self, task: str, question: Hashable, votes: Sequence[Vote]) -> Vote:
        """One verdict from the judges' own; each is recorded for the agreement.

        Args:
            task: The kind of question, such as ``rubric``.
            question: What was asked: it counts once, also where it is scored twice, or was asked anew.
            votes: One a judge, in the panel's order.
        """
        values = tuple(None if isinstance(vote, JudgeError) else vote.value for vote in votes)
        self._votes.setdefault(task, {})[question] = values
        return combine(votes)

    def close(self) -> None:
        """Close all judges."""
        for judge in self.judges:
            judge.close()

    def __enter__(self) -> Self:
        """Use the panel in a with block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the panel."""
        self.close()


def _question(request: JudgeRequest) -> Hashable:
    shown = (*(one.content for one in request.messages), *request.answers)
    return request.prompt_version, request.repeat, request.criteria, shown


def combine(votes: Sequence[Vote]) -> Vote:
    """One verdict from several.

    For a yes-or-no question, more than half of all judges have to agree. On a scale it is the median, if more
    than half of the judges gave a value. Otherwise it is an error that names the first judge's error.
    """
    given = [vote for vote in votes if isinstance(vote, JudgeVerdict)]
    errors = [vote for vote in votes if isinstance(vote, JudgeError)]
    if len(votes) == 1:
        return votes[0]
    passes = sum(vote.passed is True for vote in given)
    fails = sum(vote.passed is False for vote in given)
    missing = JudgeError(
        f"{len(given)} of {len(votes)} judges gave a verdict"
        + (f", {passes} for and {fails} against" if passes or fails else "")
        + (f"; the first error: {errors[0]}" if errors else "")
    )
    if 2 * len(given) <= len(votes):
        return missing
    if given[0].passed is None:
        value = statistics.median(vote.value for vote in given)
        spokesman = min(given, key=lambda vote: abs(vote.value - value))
        said = ", ".join(f"{vote.value:g}" for vote in given)
        passed, tally = None, f"median of {said}"
    elif 2 * max(passes, fails) > len(votes):
        passed = passes > fails
        value, tally = float(passed), f"{max(passes, fails)} of {len(votes)} judges"
        spokesman = next(vote for vote in given if vote.passed is passed)
    else:
        return missing
    return replace(
        spokesman,
        passed=passed,
        value=value,
        reason=f"{tally}: {spokesman.reason}",
        judge_model=" + ".join(vote.judge_model for vote in given),
        raw_reply="\n".join(vote.raw_reply for vote in given),
    )


def describe_agreement(votes: Sequence[tuple[float | None, ...]]) -> str | None:
    """Agreement of a panel's judges as Krippendorff's alpha; None for one judge or no question."""
    if not votes or len(votes[0]) < 2:
        return None
    try:
        alpha = krippendorff_alpha(votes, "interval")
    except ValueError as error:
        return f"the judges' agreement is not defined: {error}"
    bounds = f"[{alpha.low:.2f}, {alpha.high:.2f}]"
    return f"the judges agree with alpha {alpha.estimate:.2f} {bounds} on {len(votes)}"
