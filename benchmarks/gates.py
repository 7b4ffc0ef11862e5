"""This gate and others on the same simulated runs: false alarms, detection and passes, for docs/gate.md.

    python benchmarks/gates.py --peers ~/.cache/tunegate-peers [--runs 400] [--scores]

With ``--scores`` the cases have scores from 0 to 1 instead of verdicts, and answer once. Clusters and
runs that may stop early are in gate_modes.py.

The others are installed into an environment of their own at the given place, made if it isn't there.
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from harness.comparison.metric_drop import Population
from harness.comparison.metric_verdicts import judge
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.statistics.paired_binary import Trials
from harness.types import GateVerdict

# mlflow 3.18.0 brings compare_evaluations, but asks for a mlflow-skinny that could not be installed; the one
# before it serves.
PEERS = (
    ["regressgate==0.1.0", "adaptergate==0.5.4", "mlflow-skinny==3.17.2", "numpy", "scipy", "pandas"],
    ["--no-deps", "mlflow==3.18.0"],
    ["evalsig==0.1.2", "deltagate==0.1.1", "paired-eval==0.4.0"],
)
PEER_GATES = ("regressgate", "adaptergate", "mlflow", "evalsig", "deltagate", "paired-eval", "soup ship")
MARGIN = 0.05
Counts = NDArray[np.int_]
Rates = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Cases by their chance to be passed, and how often each is asked."""

    name: str
    rates: Rates
    answers: int


def suite(stable: int, nearly: int, unstable: int, answers: int) -> Suite:
    """Stable cases pass always, nearly stable ones in 95 %, unstable ones in 50 to 80 %."""
    rates = np.concatenate([np.ones(stable), np.full(nearly, 0.95), np.linspace(0.5, 0.8, unstable)])
    return Suite(name=f"{rates.size} cases × {answers}", rates=rates, answers=answers)


SUITES = (
    *(suite(12, 4, 4, answers) for answers in (1, 3, 5, 10)),
    *(suite(180, 10, 10, answers) for answers in (1, 5)),
    replace(suite(20, 0, 0, 1), name="20 stable cases × 1"),
    replace(suite(4, 4, 12, 5), name="20 unsteady cases × 5"),
)


def broken(rates: Rates) -> Rates:
    """The first case, a stable one, never passes."""
    return np.concatenate([[0.0], rates[1:]])


def weaker(rates: Rates) -> Rates:
    """Stable cases pass in 85 %."""
    return np.where(rates == 1.0, 0.85, rates)


CHANGES: dict[str, Callable[[Rates], Rates]] = {
    "no change": lambda rates: rates,
    "one stable case breaks": broken,
    "stable cases drop to 85 %": weaker,
    "everything −5 points": lambda rates: np.maximum(rates - 0.05, 0.0),
}


def scenarios(runs: int, only: str | None, size: int | None) -> Iterator[tuple[str, str, int, Counts]]:
    """Change, suite, answers a case, and passed answers (2, runs, cases) of baseline and candidate.

    Each has a random stream of its own, so that one change alone gives the same figures as all together.
    """
    for change, changed in CHANGES.items():
        if only not in {None, change}:
            continue
        for number, each in enumerate(SUITES):
            if size not in {None, each.rates.size}:
                continue
            random = np.random.default_rng([len(change), number])
            before = random.binomial(each.answers, each.rates, (runs, each.rates.size))
            now = random.binomial(each.answers, changed(each.rates), (runs, each.rates.size))
            yield change, each.name, each.answers, np.stack([before, now])
    for change, lost in (("churn", 0.05), ("churn, −5 points", 0.1)):
        for cases in (20, 100, 200) if only in {None, change} else ():
            if size not in {None, cases}:
                continue
            random = np.random.default_rng(cases)
            # One greedy answer a case: 5 % of all cases are lost and 5 % gained by chance.
            drawn = random.random((runs, cases))
            before = np.where(drawn < lost, 1, np.where(drawn > 0.95, 0, 1))
            now = np.where(drawn < lost, 0, 1)
            yield change, f"{cases} cases × 1, 5 % flip each way", 1, np.stack([before, now])


def shaken(random: np.random.Generator, n: int, drop: float) -> Rates:
    """Drops of cases that all change at random."""
    return np.clip(random.normal(drop, 0.1, n), -0.4, 0.6)


def much_shaken(random: np.random.Generator, n: int, drop: float) -> Rates:
    """The same by three times as much."""
    return np.clip(random.normal(drop, 0.3, n), -0.4, 0.6)


def one_sided(random: np.random.Generator, n: int, drop: float) -> Rates:
    """Drops of cases that lose the same or nothing, 80 and 20 %; of a smaller drop, some gain."""
    lost, gained = 0.3 + 5 * drop, max(0.3 - 3 * drop, 0.0)
    return random.choice([0.125, -0.125, 0.0], n, p=[lost, gained, 1 - lost - gained])


def rarely_gained(random: np.random.Generator, n: int, drop: float) -> Rates:
    """Drops of cases of which 5 % gain 0.38 and the others lose what makes the mean drop."""
    return np.where(random.random(n) < 0.05, -0.38, (0.05 * 0.38 + drop) / 0.95)


def few_lost(random: np.random.Generator, n: int, drop: float) -> Rates:
    """Drops of cases of which a few are lost completely, and a tenth moves by chance."""
    chance = np.where(random.random(n) < 0.1, random.uniform(-0.2, 0.2, n), 0.0)
    return np.where(random.random(n) < drop / 0.6, 0.6, chance)


# Drops of a baseline of 0.6 everywhere.
SHAPES = {
    "all change by 0.1 at random": shaken,
    "four of five lose 0.125, none gains": one_sided,
    "5 % gain 0.38, the others lose": rarely_gained,
    "a few are lost completely": few_lost,
    "all change by 0.3 at random": much_shaken,
}


def score_scenarios(runs: int) -> Iterator[tuple[str, str, int, Rates]]:
    """As :func:`scenarios`, of scores: shape, change and number of cases, 0 answers, and the scores."""
    for place, (shape, drops) in enumerate(SHAPES.items()):
        for cases in (20, 40):
            # A drop of the margin may pass in 5 %.
            for drop in (0.0, MARGIN, 0.1) if cases == 20 else (0.0, 0.1):
                random = np.random.default_rng([place, cases, int(100 * drop)])
                then = np.full((runs, cases), 0.6)
                now = np.stack([0.6 - drops(random, cases, drop) for _ in range(runs)])
                change = f"drop of {drop:g}" if drop else "no change"
                yield shape, f"{change}, {cases} cases", 0, np.stack([then, now])


def scored(before: Rates, now: Rates) -> int:
    """This gate's verdict on a graded score."""
    n = before.size
    metric = PairedMetric(
        set_name="s",
        metric="score",
        kind="graded",
        keys=tuple(f"s/{place}" for place in range(n)),
        candidate=tuple(now.tolist()),
        baseline=tuple(before.tolist()),
        clusters=tuple(range(n)),
        least=0.0,
        most=1.0,
    )
    verdict = judge([metric], {("s", "score"): MARGIN})[0][0].verdict
    return {GateVerdict.REGRESS: 1, GateVerdict.PASS: 0}.get(verdict or GateVerdict.INCONCLUSIVE, -1)


def paired(before: Counts, now: Counts, answers: int) -> PairedMetric:
    """One run's pass rate, as pairing makes it."""
    return PairedMetric(
        set_name="s",
        metric=PASS_RATE,
        kind="binary",
        keys=tuple(f"s/{place}" for place in range(before.size)),
        candidate=tuple((now / answers).tolist()),
        baseline=tuple((before / answers).tolist()),
        clusters=tuple(range(before.size)),
        trials=tuple(
            Trials(int(old), answers, int(new), answers) for old, new in zip(before, now, strict=True)
        ),
    )


def tunegate(
    before: Counts, now: Counts, answers: int, margin: float = MARGIN, population: Population = "sample"
) -> int:
    """This gate's verdict: 1 is a regression, 0 a pass, -1 inconclusive."""
    metric = paired(before, now, answers)
    rows, cases = judge([metric], {("s", PASS_RATE): margin}, populations={"s": population})
    if rows[0].verdict is GateVerdict.REGRESS or cases:
        return 1
    return 0 if rows[0].verdict is GateVerdict.PASS else -1


def without_margin(before: Counts, now: Counts, answers: int) -> int:
    """The same with ``--gate-margin=0``: the question that gates without a margin ask."""
    return tunegate(before, now, answers, margin=0.0)


def these_cases(before: Counts, now: Counts, answers: int) -> int:
    """The same with ``population: cases``: did exactly these cases get worse, beyond their noise."""
    return tunegate(before, now, answers, population="cases")


def any_drop(before: Counts, now: Counts, answers: int) -> int:
    """The naive gate: the mean fell."""
    return int(now.sum() < before.sum())


def peer_verdicts(
    peers: Path, found: Sequence[tuple[str, str, int, Counts | Rates]]
) -> dict[str, NDArray[np.int_]]:
    """The other gates' verdicts by gate, change and suite."""
    arrays: dict[str, Any] = {f"{change}|{name}": counts for change, name, _, counts in found}
    answers: dict[str, Any] = {
        f"{change}|{name} answers": np.array(count) for change, name, count, _ in found
    }
    return asked_peers(peers, arrays | answers)


def asked_peers(peers: Path, arrays: dict[str, Any]) -> dict[str, NDArray[np.int_]]:
    """The other gates' verdicts on runs as peer_gates.py reads them; their environment is made if missing."""
    python = peers / "bin" / "python"
    if not python.exists():
        venv.create(peers, with_pip=True)
        for packages in PEERS:
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    with tempfile.TemporaryDirectory() as directory:
        runs, verdicts = Path(directory) / "runs.npz", Path(directory) / "verdicts.npz"
        np.savez(runs, **arrays)
        script = Path(__file__).with_name("peer_gates.py")
        subprocess.run([str(python), str(script), str(runs), str(verdicts)], check=True, stdout=sys.stderr)
        with np.load(verdicts) as loaded:
            return {name: loaded[name] for name in loaded.files}


def print_scores(runs: int, peers: Path) -> None:
    """The table of graded scores."""
    found = list(score_scenarios(runs))
    others = peer_verdicts(peers, found)
    gates = [gate for gate in PEER_GATES if gate != "regressgate"]
    columns = ("tunegate", *gates)
    print(f"Fails / passes\n\n| scores | change | {' | '.join(columns)} |")
    print(f"|---|---|{'---|' * len(columns)}")
    module = "harness.comparison.metric_verdicts"
    for shape, change, _, (before, now) in found:
        # The figure beside a verdict takes most of the time, and decides nothing.
        with mock.patch(f"{module}.smallest_detectable", return_value=None):
            own = np.array([scored(*each) for each in zip(before, now, strict=True)])
        verdicts = [own, *(others[f"{gate}|{shape}|{change}"] for gate in gates)]
        shown = [f"{100 * np.mean(each == 1):.0f} / {100 * np.mean(each == 0):.0f}" for each in verdicts]
        print(f"| {shape} | {change} | {' | '.join(shown)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, required=True, help="environment of the other gates")
    parser.add_argument("--runs", type=int, default=400, help="simulated runs a figure")
    parser.add_argument("--change", choices=[*CHANGES, "churn", "churn, −5 points"], help="this change alone")
    parser.add_argument("--cases", type=int, choices=[20, 100, 200], help="sets of this size alone")
    parser.add_argument("--scores", action="store_true", help="graded scores instead of verdicts")
    chosen = parser.parse_args()
    if chosen.scores:
        print_scores(chosen.runs, chosen.peers)
        return
    found = list(scenarios(chosen.runs, chosen.change, chosen.cases))
    others = peer_verdicts(chosen.peers, found)
    gates = {
        "tunegate": tunegate,
        "at margin 0": without_margin,
        "these cases": these_cases,
        "any drop": any_drop,
    }
    columns = ("tunegate", "at margin 0", "these cases", *PEER_GATES, "any drop")
    print(f"Fails / passes\n\n| change | cases × answers | {' | '.join(columns)} |")
    print(f"|---|---|{'---|' * len(columns)}")
    for change, name, answers, (before, now) in found:
        verdicts = {
            gate: np.array([rule(old, new, answers) for old, new in zip(before, now, strict=True)])
            for gate, rule in gates.items()
        }
        verdicts |= {gate: others[f"{gate}|{change}|{name}"] for gate in PEER_GATES}
        shown = [
            f"{100 * np.mean(verdicts[gate] == 1):.0f} / {100 * np.mean(verdicts[gate] == 0):.0f}"
            for gate in columns
        ]
        print(f"| {change} | {name} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
