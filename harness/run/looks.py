"""A session that answers part by part, judges after each, and stops asking where the verdict is known.

The cases of each golden set are in a seeded random order, stratified by their first tag, whole clusters
together. After each part, a *look*, every candidate is judged on its cases so far, at that look's levels. A
candidate that regressed is asked nothing more, and a set that passed is asked no further. Must-pass cases are
answered first, but count in the comparison only in their turn: else the first look would be no sample.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from harness.baselines.target import stored_run
from harness.errors import BaselineError
from harness.golden.answering_order import answering_order
from harness.run.cache import Cache
from harness.run.conclusion import Resample, conclude_session
from harness.run.generation import OpenEngine, Progress
from harness.run.inputs import Candidate, Inputs
from harness.run.judging import as_baseline
from harness.run.kept_engine import KeptEngine
from harness.run.scoring import Judging
from harness.run.session import Session, run_session, session_opener, with_alike_scores
from harness.run.workload import Answers
from harness.statistics.looks import look_sizes
from harness.types import (
    CaseResult,
    GateRecord,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    ServerUse,
    SetLooks,
    set_of,
)


def cases_by_look(golden_set: GoldenSet, looks: int) -> list[list[GoldenCase]]:
    """The cases that each look adds; none for some looks, if there are few clusters.

    A set that asks about exactly its own cases is answered whole: a part of them can't say.

    Args:
        golden_set: The set, with the selected cases.
        looks: Planned number of looks.
    """
    order = answering_order(golden_set)
    ends = look_sizes([float(len(cases)) for cases in order], looks)
    if golden_set.gate.population == "cases":
        ends = (len(order),) * looks
    return [
        [case for cases in order[start:end] for case in cases]
        for start, end in zip((0, *ends), ends, strict=False)
    ]


@dataclass(slots=True, kw_only=True)
class _CandidateLooks:
    """One candidate's looks.

    Attributes:
        keys: Keys of its selected cases.
        sizes: Their number by set.
        going: The sets that are not decided.
        in_turn: Keys of the cases that the looks have reached, by set.
        fractions: Their share at each look, by set.
        latest: The number of the latest look, by set.
        asked: Keys of all cases that were asked.
    """

    candidate: Candidate
    keys: Collection[str]
    sizes: Mapping[str, int]
    going: set[str]
    in_turn: dict[str, set[str]] = field(default_factory=dict)
    fractions: dict[str, list[float]] = field(default_factory=dict)
    latest: dict[str, int] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    @property
    def is_incomplete(self) -> bool:
        """Whether an undecided set has cases left."""
        return any(len(self.in_turn.get(name, ())) < self.sizes[name] for name in self.going)

    def take(self, number: int, part: Mapping[str, Sequence[GoldenCase]]) -> set[str]:
        """Note a look at the undecided sets, and return the keys of the cases that it asks.

        Args:
            number: The look's, from 1.
            part: The cases that it adds, by set.
        """
        for name in self.going:
            new = {case.key for case in part[name] if case.key in self.keys}
            if new:
                reached = self.in_turn.setdefault(name, set())
                reached |= new
                self.fractions.setdefault(name, []).append(len(reached) / self.sizes[name])
                self.latest[name] = number
        wanted = {key for keys in self.in_turn.values() for key in keys} - self.asked
        self.asked |= wanted
        return wanted

    def take_at_once(self, golden_sets: Sequence[GoldenSet]) -> set[str]:
        """The keys of the first look: all cases asked so far, must-pass cases, and skipped ones."""
        cases = [case for each in golden_sets for case in each.cases if case.key in self.keys]
        self.asked |= {case.key for case in cases if case.must_pass and case.skip is None}
        return self.asked | {case.key for case in cases if case.skip is not None}

    def note(self, record: GateRecord) -> None:
        """Note what is decided: all after a regression, otherwise the sets that passed."""
        if record.verdict is None:
            return
        if record.verdict.outcome is GateVerdict.REGRESS:
            self.going.clear()
        verdicts: dict[str | None, set[GateVerdict]] = {}
        for finding in record.verdict.findings:
            if finding.verdict is not None:
                verdicts.setdefault(finding.set_name, set()).add(finding.verdict)
        self.going -= {name for name in self.going if verdicts.get(name) == {GateVerdict.PASS}}

    def facts(self, planned: int) -> tuple[SetLooks, ...]:
        """How far each set was answered, also those that no look has reached yet.

        Args:
            planned: Number of looks.
        """
        latest = max(self.latest.values(), default=1)
        return tuple(
            SetLooks(
                set_name=name,
                look=self.latest.get(name, latest),
                planned=planned,
                fractions=tuple(self.fractions.get(name, ())),
                cases=size,
                answered=len(self.in_turn.get(name, ())),
                out_of_turn=self._out_of_turn(name),
            )
            for name, size in self.sizes.items()
            if size
        )

    def _out_of_turn(self, name: str) -> tuple[str, ...]:
        early = self.asked - self.in_turn.get(name, set())
        return tuple(sorted(key for key in early if set_of(key) == name and key in self.keys))


def run_looks(  # noqa: PLR0913 # a session with its stopping rule, whose parts its caller has
    inputs: Inputs,
    golden_sets: Sequence[GoldenSet],
    cache: Cache,
    on_progress: Progress,
    judging: Judging,
    *,
    collected: int,
    only: Mapping[str, Collection[str]],
    resampling: Callable[[Session, OpenEngine], Resample] | None = None,
    on_lost: Callable[[int], None] | None = None,
) -> Session:
    """Answer and score the selected cases look by look, until every candidate is decided.

    Arguments are those of :func:`harness.run.session.run_session`, and:

    Args:
        inputs: Their settings say how many looks there are.
        golden_sets: The sets, with the selected cases only.
        cache: Where answers and scores are looked up and stored.
        on_progress: Called with each stage's progress.
        judging: The judges.
        collected: Number of cases in the golden sets before selection.
        only: Keys of each candidate's selected cases, by side.
        resampling: Makes, of the session so far and its models, which stay loaded, what gets new answers to
            its cases; a regression that they don't show stops nothing.
        on_lost: Called with the number of cases that are lost so far.

    Returns:
        The session with the cases that were asked, in the golden sets' order.

    Raises:
        EngineError: The model failed.
        AdapterError: An adapter changes nothing.
    """
    looks, lost = inputs.settings.looks, _LostCount(on_lost)
    cases = [case for golden_set in golden_sets for case in golden_set.cases]
    candidates = [_looks_of(each, golden_sets, only[each.side]) for each in inputs.candidates]
    session = None
    with closing(KeptEngine(session_opener(inputs, golden_sets, cases))) as engine:
        for limits in _asked_by_look(golden_sets, candidates, looks):
            answered = run_session(
                inputs,
                _limited(golden_sets, set().union(*limits.values())),
                cache,
                on_progress,
                judging,
                only=limits,
                on_lost=lost.tell if on_lost is not None else None,
                open_engine=engine,
                answered=_answered_sides(session),
            )
            lost.end_look()
            session = answered if session is None else _joined(session, answered)
            session = _completed(session, golden_sets, {e.candidate.side: e.facts(looks) for e in candidates})
            session = with_alike_scores(session, cache, on_progress)
            if any(each.is_incomplete for each in candidates):
                _note_decided(candidates, session, collected, resampling and resampling(session, engine))
    assert session is not None  # there is a case, so some look has one
    return _with_use(session, engine)


def _answered_sides(session: Session | None) -> dict[str, bool]:
    answers = {} if session is None else session.answers
    return {side: each.computed for side, each in answers.items() if each.completions}


def _with_use(session: Session, engine: KeptEngine) -> Session:
    """The session with the plan of its latest answers, and with how servers were used in all looks."""
    plans = [each.plan for each in session.answers.values()]
    plan = plans[0] if engine.engine is None else engine.engine.plan
    if plan.server is not None:
        from harness.engines.served.reports import with_uses

        # What a plan itself says, such as of text that got no loss, is no engine's.
        said = [each.server for each in plans if each.server is not None]
        refused = [each.unmeasured for each in said]
        refused += [why for each in session.answers.values() for why in each.unmeasured.values()]
        notes = tuple(note for each in said for note in each.notes)
        own = ServerUse(notes=notes, unmeasured=next(filter(None, refused), ""))
        plan = with_uses(plan, [*engine.uses, own])
    return replace(
        session, answers={side: replace(each, plan=plan) for side, each in session.answers.items()}
    )


def _note_decided(
    candidates: Sequence[_CandidateLooks], session: Session, collected: int, resample: Resample | None
) -> None:
    """Judge a session so far, and note what each candidate has decided."""
    try:
        records = conclude_session(session, collected=collected, resample=resample, is_final=False)
    except BaselineError:
        # Such as a baseline that passes none of the first probes: refused only if it passes none of all.
        return
    for each in candidates:
        each.note(records[each.candidate.name])


def _asked_by_look(
    golden_sets: Sequence[GoldenSet], candidates: Sequence[_CandidateLooks], looks: int
) -> Iterator[dict[str, set[str]]]:
    """The keys that each look asks, by side, while a candidate is undecided; without looks that ask none."""
    parts = {each.name: cases_by_look(each, looks) for each in golden_sets}
    is_first = True
    for number in range(1, looks + 1):
        part = {name: cases[number - 1] for name, cases in parts.items()}
        limits = {each.candidate.side: each.take(number, part) for each in candidates}
        if is_first:
            limits = {each.candidate.side: each.take_at_once(golden_sets) for each in candidates}
        if any(limits.values()):
            is_first = False
            yield limits
        if not any(each.going for each in candidates):
            return


@dataclass(slots=True)
class _LostCount:
    """Lost cases over all looks; each look counts its own."""

    on_lost: Callable[[int], None] | None
    before: int = 0
    latest: int = 0

    def tell(self, count: int) -> None:
        """Tell the lost cases of all looks, given those of the latest."""
        self.latest = count
        if self.on_lost is not None:
            self.on_lost(self.before + count)

    def end_look(self) -> None:
        """Keep the latest look's count."""
        self.before, self.latest = self.before + self.latest, 0


def _looks_of(
    candidate: Candidate, golden_sets: Sequence[GoldenSet], keys: Collection[str]
) -> _CandidateLooks:
    sizes = {
        each.name: sum(case.skip is None and case.key in keys for case in each.cases) for each in golden_sets
    }
    going = {name for name, size in sizes.items() if size}
    return _CandidateLooks(candidate=candidate, keys=frozenset(keys), sizes=sizes, going=going)


def _limited(golden_sets: Sequence[GoldenSet], keys: Collection[str]) -> list[GoldenSet]:
    return [
        replace(each, cases=tuple(case for case in each.cases if case.key in keys)) for each in golden_sets
    ]


def _joined(before: Session, new: Session) -> Session:
    return replace(
        before,
        duration_s=before.duration_s + new.duration_s,
        answers={side: _joined_answers(before.answers[side], new.answers[side]) for side in before.answers},
        results={side: [*before.results[side], *new.results[side]] for side in before.results},
    )


def _joined_answers(before: Answers, new: Answers) -> Answers:
    """The general text is the same in every part: what failed on it before may be there now."""
    return replace(
        before,
        text_losses=new.text_losses,
        divergences=new.divergences,
        # A server's plan has what is said of such text; a local one may have loaded nothing for this part.
        plan=before.plan if new.plan.server is None else new.plan,
        completions={**before.completions, **new.completions},
        reference_losses={**before.reference_losses, **new.reference_losses},
        failures={**before.failures, **new.failures},
        loss_failures={**before.loss_failures, **new.loss_failures},
        unmeasured={**before.unmeasured, **new.unmeasured},
        computed=before.computed or new.computed,
    )


def _completed(
    session: Session, golden_sets: Sequence[GoldenSet], looks: Mapping[str, tuple[SetLooks, ...]]
) -> Session:
    """A session with all selected cases in its sets, its results in their order, and its looks."""
    cases = [case for golden_set in golden_sets for case in golden_set.cases]
    place = {case.key: number for number, case in enumerate(cases)}
    results: dict[str, Sequence[CaseResult]] = {
        side: sorted(found, key=lambda result: place[result.key]) for side, found in session.results.items()
    }
    return replace(
        session,
        golden_sets=tuple(golden_sets),
        results=results,
        looks=looks,
        stored=None if (stored := stored_run(session.inputs.target, cases)) is None else as_baseline(stored),
    )
