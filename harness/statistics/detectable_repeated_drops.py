"""How large a true drop must be to be found where each case is answered several times."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness.statistics.clusters import CONFIDENCE, Units, degrees_of_freedom, squared_error
from harness.statistics.detectable_drops import RUNS, SIMULATED_UP_TO, verdicts_of
from harness.statistics.detectable_falls import falling_answers, least_of_runs
from harness.statistics.paired_binary import Trials
from harness.statistics.power import POWER, least_drop, wanted_by_t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MEAN_PRECISION = 5e-4
_CLUSTER_PRECISION = 2e-3
# Samples of answers in clusters, fewer of very many answers.
_SAMPLES = 1000
_LEAST_SAMPLES = 150
_ANSWERS = 3_000_000


def detectable_repeated_drop(
    trials: Sequence[Trials],
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float | None:
    """Smallest true drop that is called a regression if every case is answered several times.

    Each case's chance to pass falls by the same amount, if it can. The normal approximation of
    :func:`~harness.statistics.paired_binary.stratified_p`: answers to one case are exchangeable under "no
    drop".

    Args:
        trials: Each case's passed answers and all its answers on both sides.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: always a regression if rejected.
        confidence: Two-sided, of the interval that is compared with it.
        power: Probability of finding the drop.

    Returns:
        The drop, or None if none is found with this probability.
    """
    from scipy.special import ndtri

    z_level, z_power = float(ndtri(1 - level)), float(ndtri(power))
    z_confidence = float(ndtri((1 + confidence) / 2))

    def found(fall: float) -> bool:
        shift = null = true = drop = spread = 0.0
        for each in trials:
            was = _rate(each)
            now, both = max(was - fall, 0.0), each.baseline + each.candidate
            pooled = (each.baseline * was + each.candidate * now) / both
            weight = each.baseline * each.candidate / both
            noise = _noise(each, was, now)
            shift += weight * (was - now)
            null += each.baseline * each.candidate / max(both - 1, 1) * pooled * (1 - pooled)
            true += weight * weight * noise
            drop += was - now
            spread += noise
        reaches = margin is None or (
            drop - margin * len(trials) + (z_confidence - z_power) * math.sqrt(spread) >= 0
        )
        return reaches and shift - z_level * math.sqrt(null) >= z_power * math.sqrt(true) and shift > 0

    fall = least_drop(found, 1.0, _MEAN_PRECISION)
    return None if fall is None else _mean_fall(trials, fall)


def detectable_averaged_drop(  # the cases, their noise and the gate's own settings
    rates: Sequence[float],
    noise: float,
    level: float,
    *,
    margin: float,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float:
    """Smallest true drop that is found if each case's drop is noisy, and further cases are lost whole.

    By Student's distribution. A share s of the cases is lost, each with its own rate p, so the drop is d = s
    m(p) and a case's drop varies by v(d) = (1 - s) noise + s m(p^2) - d^2, with m a mean over the cases.
    Found where d sqrt(n) = t sqrt(v(d)).

    Args:
        rates: Each case's chance to pass in the baseline.
        noise: Variance of a case's drop if nothing changed.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop: the interval has to reach beyond.
        confidence: Two-sided, of that interval.
        power: Probability of finding the drop.
    """
    from scipy.special import stdtrit

    n, rate = len(rates), math.fsum(rates) / len(rates)
    if rate == 0 or n < 2:
        return 1.0
    lost = (math.fsum(each * each for each in rates) / n - noise) / rate
    needed, sure, bound = (
        float(stdtrit(n - 1, chance)) for chance in (1 - level, power, (1 + confidence) / 2)
    )
    square = (needed + sure) ** 2
    root = math.sqrt((square * lost) ** 2 + 4 * (n + square) * square * noise)
    found = (square * lost + root) / (2 * (n + square))
    spread = max(noise + margin * lost - margin * margin, 0.0)
    reaching = margin - (bound - sure) * math.sqrt(spread / n)
    return min(max(found, reaching), 1.0)


def detectable_repeated_cluster_drop(
    trials: Sequence[Trials],
    clusters: Sequence[str | int],
    units: Units,
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float | None:
    """As :func:`detectable_repeated_drop` for cases in clusters: by the gate's rule on samples of answers.

    The error of the mean is that of the answers inside the cases, or what the clusters' spread shows if that
    is larger. Of many clusters or answers Student's distribution is asked instead.

    Args:
        trials: Each case's passed answers and all its answers on both sides.
        clusters: Each case's cluster.
        units: Their drops, summed by cluster.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: always a regression if rejected.
        confidence: Two-sided, of the interval that is compared with it.
        power: Probability of finding the drop.

    Returns:
        The drop, or None if none is found with this probability.
    """
    if units.count < 2 or 0.5**units.count > level:
        return None
    answers = len(trials) * max(each.candidate for each in trials)
    samples = min(_SAMPLES, _ANSWERS // answers)
    if units.count > SIMULATED_UP_TO or samples < _LEAST_SAMPLES:
        return _by_student(trials, units, level, margin, confidence, power)
    import numpy as np

    rates, fallen = falling_answers(trials, samples)
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    of_case = np.array([places[each] for each in clusters])
    order, sizes = np.argsort(of_case, kind="stable"), np.bincount(of_case).astype(float)
    starts = np.cumsum([0, *sizes[:-1]]).astype(int)
    # What clusters vary by beyond the answers, alike in all cases of one.
    noise = math.fsum(_noise(each, rate, rate) for each, rate in zip(trials, rates.tolist(), strict=True))
    between = max(squared_error(units) * sizes.sum() ** 2 - noise, 0.0) / float((sizes * sizes).sum())
    further = np.random.default_rng(1).normal(0.0, math.sqrt(between), (samples, sizes.size)) * sizes

    def regresses(runs: "NDArray[np.int_]", fall: float) -> "NDArray[np.bool_]":
        drops = np.add.reduceat(fallen(runs, fall)[:, order], starts, axis=1) + further[runs]
        return verdicts_of(drops, sizes.tolist(), level, margin=margin, confidence=confidence, passing=False)[
            0
        ]

    found = least_of_runs(regresses, samples, power, 0.1, 1.0)
    return None if found is None else float(np.minimum(rates, found).mean())


def _by_student(
    trials: Sequence[Trials],
    units: Units,
    level: float,
    margin: float | None,
    confidence: float,
    power: float,
) -> float | None:
    """The same of many clusters: the estimated error varies, so the probability is the mean over it."""
    from scipy.special import ndtr

    freedom, least = degrees_of_freedom(units), squared_error(units)

    def found(fall: float) -> bool:
        noise = 0.0
        for each in trials:
            was = _rate(each)
            now = max(was - fall, 0.0)
            noise += _noise(each, was, now)
        mean, error = _mean_fall(trials, fall), math.sqrt(max(noise / len(trials) ** 2, least))
        if error == 0:
            return mean > (margin or 0.0)
        wanted = wanted_by_t(error, freedom, level, margin, confidence)
        return float(ndtr((mean - wanted) / error).mean()) >= power

    fall = least_drop(found, 1.0, _MEAN_PRECISION)
    return None if fall is None else _mean_fall(trials, fall)


def detectable_repeated_clusters(
    trials: Sequence[Trials],
    clusters: Sequence[str | int],
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float | None:
    """The same if the drop takes whole clusters: each is lost with the same probability, or stays as it was.

    By simulation with normal noise of the answers, of many clusters by the normal approximation. The loss of
    one cluster of ten may be no news to clusters, although all its cases fail.

    Args:
        trials: Each case's passed answers and all its answers on both sides.
        clusters: Each case's cluster.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: always a regression if rejected.
        confidence: Two-sided, of the interval that is compared with it.
        power: Probability of finding the drop.

    Returns:
        The drop, or None if none is found with this probability.
    """
    sizes: dict[str | int, float] = dict.fromkeys(clusters, 0.0)
    passed, noise = dict(sizes), dict(sizes)
    for each, cluster in zip(trials, clusters, strict=True):
        rate = _rate(each)
        sizes[cluster] += 1
        passed[cluster] += rate
        noise[cluster] += rate * (1 - rate) * (1 / each.baseline + 1 / each.candidate)
    counts, whole, noises = list(sizes.values()), list(passed.values()), list(noise.values())
    if len(counts) < 2:
        return None
    if len(counts) > SIMULATED_UP_TO:
        chance = _normal_chance(counts, whole, noises, level, margin, confidence)
    else:
        chance = _simulated_chance(counts, whole, noises, level, margin, confidence)
    lost = least_drop(lambda share: chance(share) >= power, 1.0, _CLUSTER_PRECISION)
    return None if lost is None else lost * math.fsum(whole) / math.fsum(counts)


def _simulated_chance(
    sizes: Sequence[float],
    whole: Sequence[float],
    noises: Sequence[float],
    level: float,
    margin: float | None,
    confidence: float,
) -> Callable[[float], float]:
    """Probability of a regression where this share of clusters is lost.

    Args:
        sizes: Number of cases of each cluster.
        whole: Drop of each that is lost, summed over its cases.
        noises: Variance of this sum where it stays.
        level: As above, like the other arguments.
        margin: Largest tolerated drop.
        confidence: Of the interval.
    """
    import numpy as np

    random, shape = np.random.default_rng(0), (RUNS, len(sizes))
    luck = random.random(shape)
    staying = random.normal(0.0, 1.0, shape) * np.sqrt(noises)

    def found(share: float) -> float:
        drops = np.where(luck < share, whole, staying)
        refused, _ = verdicts_of(drops, sizes, level, margin=margin, confidence=confidence, passing=False)
        return float(refused.mean())

    return found


def _normal_chance(
    sizes: Sequence[float],
    whole: Sequence[float],
    noises: Sequence[float],
    level: float,
    margin: float | None,
    confidence: float,
) -> Callable[[float], float]:
    """The same of many clusters, whose mean drop is normal."""
    from scipy.special import ndtr, ndtri

    cases, lost = math.fsum(sizes), math.fsum(whole)
    squares, noise = math.fsum(each * each for each in whole), math.fsum(noises)
    z, bound = float(ndtri(1 - level)), float(ndtri((1 + confidence) / 2))

    def found(share: float) -> float:
        drop = share * lost / cases
        error = max(math.sqrt(share * (1 - share) * squares + (1 - share) * noise) / cases, 1e-9)
        least = z * error if margin is None else max(z * error, margin - bound * error)
        return float(ndtr((drop - least) / error))

    return found


def _mean_fall(trials: Sequence[Trials], fall: float) -> float:
    """Mean drop if each case's chance falls by this much, or to 0."""
    return math.fsum(min(_rate(each), fall) for each in trials) / len(trials)


def _rate(trials: Trials) -> float:
    """Share of a case's answers that passed, of both sides."""
    return (trials.baseline_passed + trials.candidate_passed) / (trials.baseline + trials.candidate)


def _noise(trials: Trials, was: float, now: float) -> float:
    """Variance of a case's drop by its answers alone.

    Args:
        trials: How many answers each side has.
        was: The baseline's chance to pass.
        now: The candidate's.
    """
    return was * (1 - was) / trials.baseline + now * (1 - now) / trials.candidate
