"""Checks before the first run whether a golden set can pass at all, and how its answers are computed.

A gate with several looks tests each at a smaller level; its last look, at all cases, is the likeliest to
decide.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

from harness.authoring.remedies import more_cases, noise_command, one_of
from harness.golden.gated_cases import cases_of_metric, is_graded, judged_cases, largest_drop
from harness.golden.reference_tokens import lone_drop_of_cases
from harness.golden.schema import CHECK_TYPES, answers_vary, base_type, checks_of, may_vary
from harness.metrics.labelled_answer import expected_label
from harness.registry.content_metrics import MACRO_F1
from harness.settings import Settings
from harness.settings.values import runs_vllm
from harness.statistics.clusters import Units, group, unseen_share
from harness.statistics.paired_binary import bound_without_flips
from harness.statistics.varying_answers import equal_varying_drop, remedies_of_equal
from harness.types import EXACT_DTYPES, Check, GoldenCase, GoldenSet
from harness.types.golden import ALPHA, PROBE_MARGIN, TASK_MARGIN, is_within
from tunegate.figures import figure_of, wide_enough
from tunegate.project import user_path

# How answers are computed: by a server, in a precision, or as the machine decides.
SERVER = "server"
_AS_COMPUTED = {
    SERVER: "answered by a server",
    "": "computed in bfloat16 (dtype auto, on a GPU that has it) or answered by a server",
}


def computed_in(settings: Settings) -> str:
    """In which precision a gate computes, or that a server answers; empty where the machine decides.

    Args:
        settings: The gate's.
    """
    if runs_vllm(settings.engine) or any(map(_is_served, settings.model)):
        return SERVER
    if settings.dtype != "auto":
        return settings.dtype
    return "float32" if settings.device == "cpu" else ""


def asks_probes(settings: Settings) -> bool:
    """Whether a gate measures forgetting: a multi-task model's heads answer their tasks and nothing else.

    Args:
        settings: The gate's.
    """
    return settings.forgetting and not any(map(_is_multitask, settings.model))


def _is_multitask(name: str) -> bool:
    # Only here, as below.
    from harness.engines.adapter import is_multitask

    return is_multitask(user_path(name))


def _is_served(name: str) -> bool:
    # Only here: a lint without a model in the settings imports no engine.
    from harness.engines.base import SERVED

    return name.partition(":")[0] in SERVED


def as_computed(golden_set: GoldenSet, computed: str) -> GoldenSet:
    """A set as its answers are computed: to its own cases, those that rounding may change are as if drawn.

    Args:
        golden_set: The set.
        computed: As :func:`computed_in` says it; where nobody says it, answers reproduce.
    """
    if golden_set.gate.population == "sample" or not computed or computed in EXACT_DTYPES:
        return golden_set
    drawn = (replace(case.generation, temperature=1.0) for case in golden_set.cases)
    pairs = zip(golden_set.cases, drawn, strict=True)
    return replace(golden_set, cases=tuple(replace(case, generation=each) for case, each in pairs))


def last_level(golden_set: GoldenSet, looks: int) -> float:
    """The one-sided level of a gate's last look at a set; the whole level for a set that is answered at once.

    Args:
        golden_set: The set.
        looks: Planned number of looks.
    """
    if looks < 2 or golden_set.gate.population == "cases":
        return ALPHA
    # It integrates numerically: a lint without looks imports no numerical library.
    from harness.golden.answering_order import answering_order
    from harness.statistics.looks import level_at, look_sizes

    sizes = [float(len(cases)) for cases in answering_order(golden_set)]
    ends = sorted({*look_sizes(sizes, looks)} - {0})
    return level_at([math.fsum(sizes[:end]) / math.fsum(sizes) for end in ends], ALPHA) if ends else ALPHA


def least_drop_left_open(golden_set: GoldenSet, level: float = ALPHA) -> float:
    """The upper bound of the pass rate's drop if both models give equal answers to every case.

    Args:
        golden_set: The set; for a question about its own cases, without a noise record.
        level: One-sided, of the bound.
    """
    cases = judged_cases(golden_set)
    if not cases:
        return 1.0
    if golden_set.gate.population == "cases":
        return equal_varying_drop(cases).high if answers_vary(cases) else 0.0
    return _bound_of_passes(cases, level)


def _units(cases: Sequence[GoldenCase]) -> Units:
    clusters = [place if case.cluster is None else case.cluster for place, case in enumerate(cases)]
    return group([0.0] * len(cases), clusters)


def _bound_of_passes(cases: Sequence[GoldenCase], level: float) -> float:
    units, z = _units(cases), _quantile(level)
    if units.count == len(cases):
        return bound_without_flips(units.count, z)
    # As in harness.statistics.clustered_drop: a whole cluster, of the size in which a case is on average.
    return min(bound_without_flips(units.count, z, 0.0) * units.count / units.effective, 1.0)


def _quantile(level: float) -> float:
    # Of the standard library, so that the lint imports no numerical library.
    return NormalDist().inv_cdf(1 - level)


def why_it_never_passes(
    golden_set: GoldenSet, level: float = ALPHA, computed: str = "float32"
) -> tuple[str, str] | None:
    """Why a pass rate can't pass on equal answers, and how to change that; None if it can or has no case.

    A candidate that gained cases, perhaps by chance, may still pass; ``tunegate power`` says how often.

    Args:
        golden_set: The whole set.
        level: One-sided, of the bound that a pass needs within the margin.
        computed: As :func:`computed_in` says it.

    Returns:
        The reason and the remedy.
    """
    margin, cases = golden_set.gate.margin, judged_cases(golden_set)
    if margin is None:
        margin = PROBE_MARGIN if golden_set.probes_forgetting else TASK_MARGIN
    if not cases:
        return None
    if margin >= 1:
        return (
            f"it {_where_no_drop_is_beyond(golden_set)}: no drop can be beyond its margin of 1",
            "choose a smaller margin",
        )
    if is_within(bound := least_drop_left_open(as_computed(golden_set, computed), level), margin):
        return None
    vary = " whose answers vary" if golden_set.gate.population == "cases" else ""
    if vary:
        remedy = _what_steadies(cases, computed, margin, bound)
    else:
        ways = ["add independent cases", f"widen the margin to {wide_enough(bound)}"]
        remedy = one_of([*ways, *_asking_about_its_own(golden_set, computed, margin)])
    looks = "" if level == ALPHA else " at the last look"
    return (
        f"it can pass its gate{looks} only by gains: with {_counted(cases)}{vary} even equal answers leave a "
        f"drop of {figure_of(bound, 3)} possible, and its margin is {margin:g}",
        remedy,
    )


def _where_no_drop_is_beyond(golden_set: GoldenSet) -> str:
    """What a margin of the whole scale leaves, as :func:`harness.comparison.decisions.decide` has it."""
    # What probes gain says nothing of what was kept.
    return "can never pass its gate" if golden_set.probes_forgetting else "can pass its gate only by gains"


def _asking_about_its_own(golden_set: GoldenSet, computed: str, margin: float) -> list[str]:
    """The way out of the gate's other question, unless that leaves too much open: answers may vary more."""
    own = replace(golden_set, gate=replace(golden_set.gate, population="cases"))
    # A server computes as it does.
    ways = [(computed, ""), ("float32", " in float32")][: 1 if computed == SERVER else 2]
    for each, how in ways:
        if is_within(least_drop_left_open(as_computed(own, each)), margin):
            return [f"ask about these very cases{how} (gate: {{population: cases}})"]
    return []


def _what_steadies(cases: Sequence[GoldenCase], computed: str, margin: float, bound: float) -> str:
    """What lets exactly these cases pass where answers vary, of all that can be done and isn't yet."""
    drawn = [case.generation.temperature > 0 for case in cases]
    deciding = [single for case in cases for check in checks_of(case) for single in check.single_checks]
    others = [check for check in deciding if not _is_judged(check)]
    ways = remedies_of_equal(cases, margin, _can_be_rerun)
    told = []
    if ways.answers:
        warm = "" if all(drawn) else " at a temperature above 0"
        told.append(f"repeat each case {ways.answers} times or more{warm}")
    steps = {
        "temperature: 0": any(drawn),
        "dtype float32": computed not in EXACT_DTYPES,
        "no judge": len(others) < len(deciding),
    }
    # A server computes as it does, and a clock or a project's own function gives what it gives.
    if any(steps.values()) and computed != SERVER and not may_vary(others):
        named = ", ".join(step for step, helps in steps.items() if helps)
        told.append(f"make answers and scores reproduce ({named})")
    if ways.reruns is not None and ways.cases is None:
        told.append(
            f"record how much they vary ({noise_command(ways.reruns)}: such records are not read here)"
        )
    else:
        # No number of reruns is enough for so few cases.
        if ways.cases is not None:
            told.append(more_cases(ways.cases, ways.reruns))
        if bound < 1 or not told:
            told.append(f"widen the margin to {wide_enough(bound)}")
    return one_of(told)


def _can_be_rerun(case: GoldenCase) -> bool:
    """Whether ``tunegate noise`` scores a case: reruns are not judged."""
    return not any(map(_is_judged, case.single_checks))


def _is_judged(check: Check) -> bool:
    return (kind := CHECK_TYPES.get(base_type(check.type))) is not None and kind.judged


def notes_of_no_pass(golden_set: GoldenSet, level: float = ALPHA, computed: str = "float32") -> list[str]:
    """Why gated metrics of a set can't pass on equal answers, and what helps, a note for each.

    Args:
        golden_set: The whole set.
        level: One-sided, as for the functions that find them.
        computed: As :func:`computed_in` says it; where nobody says it, notes say for which way they hold.
    """
    never = _never_passes(golden_set, level, "float32")
    varying: dict[str, str] = {}
    if computed not in EXACT_DTYPES:
        varying = _never_passes(golden_set, level, computed or "bfloat16")
    # What holds in any case is told once, with what helps as answers are computed.
    notes = [f"{reason}: {remedy}" for reason, remedy in {**never, **varying}.items() if reason in never]
    how = _AS_COMPUTED.get(computed, f"computed in {computed}")
    told = ((reason, remedy) for reason, remedy in varying.items() if reason not in never)
    return [*notes, *(f"{how}, {reason}: {remedy}" for reason, remedy in told)]


def _never_passes(golden_set: GoldenSet, level: float, computed: str) -> dict[str, str]:
    """Remedies by reason."""
    of_metrics = why_metrics_never_pass(as_computed(golden_set, computed), level)
    found = (why_it_never_passes(golden_set, level, computed), *of_metrics)
    return dict(each for each in found if each is not None)


def _counted(cases: Sequence[GoldenCase]) -> str:
    count, noun = _units(cases).count, "case" if len(cases) == 1 else "cases"
    clusters = "" if count == len(cases) else f" in {count} cluster{'' if count == 1 else 's'}"
    return f"{len(cases)} {noun}{clusters}"


def why_metrics_never_pass(golden_set: GoldenSet, level: float = ALPHA) -> list[tuple[str, str]]:
    """For each gated metric that equal answers cannot pass, or only from a low mean, why, and what helps.

    Args:
        golden_set: The whole set.
        level: One-sided, of the bound that a pass needs within the margin.
    """
    found = []
    for metric, margin in golden_set.gate.metric_margins.items():
        cases = cases_of_metric(golden_set, metric)
        reproduce = golden_set.gate.population == "cases" and not answers_vary(cases, metric)
        if not cases:
            continue
        if margin >= largest_drop(metric):
            only = _where_no_drop_is_beyond(golden_set)
            reason = f"no drop can be beyond its margin of {margin:g}"
            found.append((f"{metric} {only}: {reason}", "choose a smaller margin"))
            continue
        bound, most = _bound_of_scores(metric, cases, margin, level)
        if _moves_by_its_mean(metric) and not reproduce and bound > TASK_MARGIN:
            found.append(_of_open_scale(metric, cases, margin, bound))
        if _moves_by_its_mean(metric) or reproduce or is_within(bound, margin):
            continue
        never = f"{metric} can pass its gate only by gains"
        if most > margin:
            near = figure_of(most, 2)
            never = f"{metric} can pass its gate only where the baseline is within {near} of its worst value"
        found.append(
            (
                f"{never}: with {_counted(cases)} even equal answers leave a drop of {figure_of(bound, 3)} "
                f"possible, and its margin is {margin:g}",
                f"add independent cases, or widen the margin to {wide_enough(bound)}",
            )
        )
    return found


def _moves_by_its_mean(metric: str) -> bool:
    """Whether a scale without an end leaves open that a case loses as much as the baseline's mean.

    As in harness.comparison.metric_drop.unit_of_scale. A logarithm loses 1.
    """
    kind = CHECK_TYPES.get(base_type(metric))
    return math.isinf(largest_drop(metric)) and not (kind is not None and kind.logarithmic)


def _of_open_scale(metric: str, cases: Sequence[GoldenCase], margin: float, share: float) -> tuple[str, str]:
    """Up to which mean so few cases pass: nothing is known of the values, nor of their unit."""
    return (
        f"{metric} can pass its gate only where the baseline's mean is at most {margin / share:.3g}: with "
        f"{_counted(cases)} even equal answers leave a drop by {share:.1%} of it possible, and its margin is "
        f"{margin:g}",
        "add independent cases, or widen the margin",
    )


def _bound_of_scores(
    metric: str, cases: Sequence[GoldenCase], margin: float, level: float
) -> tuple[float, float]:
    """A metric's bound for equal answers from the best baseline, and how near the worst one can pass.

    As in harness.statistics.paired_graded: a share of units that none has shown may be lost completely, from
    where the baseline is, with one more case that loses the whole scale; of losses per token by one token.
    """
    units, n, scale = _units(cases), len(cases), largest_drop(metric)
    if metric == MACRO_F1:
        return _bound_of_labels(cases, level), 0.0
    if base_type(metric) not in CHECK_TYPES:
        return 0.0, 0.0
    kind = CHECK_TYPES[base_type(metric)]
    if not is_graded(metric, cases):
        return _bound_of_passes(cases, level), 0.0
    share = unseen_share(units.effective, level)
    if kind.light_tails:
        return share * max(lone_drop_of_cases(metric, cases), float(0.5**units.count > level)), 0.0
    share = max(share, bound_without_flips(units.count, _quantile(level)))
    if not math.isfinite(scale):
        return share, 0.0
    return share * scale, (margin / share * (n + 1) - scale) / n


def _bound_of_labels(cases: Sequence[GoldenCase], level: float) -> float:
    """The loss of macro-F1 that equal answers leave possible: that of the rarest label, unseen.

    As in harness.comparison.whole_sets, where each label counts as much as any other.
    """
    clusters: dict[str, set[str | int]] = {}
    for place, case in enumerate(cases):
        for label in filter(None, (expected_label(case, check) for check in checks_of(case, MACRO_F1))):
            clusters.setdefault(label, set()).add(place if case.cluster is None else case.cluster)
    if _units(cases).count < 2 or not clusters:
        return 1.0
    rarest = max(unseen_share(len(members), level) for members in clusters.values())
    count = _units(cases).count
    return max(rarest / len(clusters), bound_without_flips(count, _quantile(level), 0.0))
