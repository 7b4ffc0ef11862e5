"""How long the gate's arithmetic takes for a large set: processor time and memory, no model involved.

    python benchmarks/gate_speed.py [--cases 10000] [--clusters 4000]

One pass rate and four graded metrics, all gated, with random answers; once with independent cases, once with
clusters, and once as the last of five looks. The aim is 5 s and 500 MB for 10 000 cases, also at a look.
"""

import argparse
import resource
import time

import numpy as np

from harness.comparison.metric_verdicts import judge
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.statistics.spending import even_looks


def metrics(cases: int, clusters: int | None) -> list[PairedMetric]:
    """A pass rate and four scores of random answers.

    Args:
        cases: Number of cases.
        clusters: Number of clusters; None: independent cases.
    """
    random = np.random.default_rng(0)
    groups = np.arange(cases) if clusters is None else random.integers(0, clusters, cases)
    passed = [(random.random(cases) < 0.9).astype(float) for _ in range(2)]
    before = [random.random(cases) for _ in range(4)]
    after = [np.clip(score + random.normal(0, 0.1, cases), 0, 1) for score in before]
    values = [
        (PASS_RATE, *passed),
        *((f"score-{n}", *pair) for n, pair in enumerate(zip(before, after, strict=True))),
    ]
    return [
        PairedMetric(
            set_name="s",
            metric=name,
            kind="binary" if name == PASS_RATE else "graded",
            keys=tuple(f"s/{case}" for case in range(cases)),
            baseline=tuple(old.tolist()),
            candidate=tuple(new.tolist()),
            clusters=tuple(groups.tolist()),
        )
        for name, old, new in values
    ]


def main() -> None:
    """Print seconds and the peak memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--clusters", type=int, default=4_000)
    chosen = parser.parse_args()
    for clusters, looks in ((None, 1), (chosen.clusters, 1), (None, 5)):
        gated = metrics(chosen.cases, clusters)
        started = time.process_time()
        fractions = {"s": even_looks(looks)} if looks > 1 else {}
        judge(gated, {("s", metric.metric): 0.05 for metric in gated}, fractions=fractions)
        took_s = time.process_time() - started
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        of = "independent" if clusters is None else f"in {clusters} clusters"
        of += f", the last of {looks} looks," if looks > 1 else ""
        print(f"{chosen.cases} cases {of} × 5 metrics: {took_s:.1f} s of processor time, {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
