"""The verdicts of other gates on simulated runs. Runs in their own environment, started by gates.py.

    python peer_gates.py RUNS.npz VERDICTS.npz

RUNS.npz holds, under each scenario's name, counts of passed answers: (2, runs, cases), the baseline's first;
and under its name with " answers", how many answers each case had (0: scores); with " clusters", each case's
cluster, if there are any. A name whose " answers" are -1 holds drops of cases (runs, cases), to be read one
after another. VERDICTS.npz gets, under "<gate>|<scenario>", that gate's verdict on each run: 1 fails, 0
passes, -1 neither; of drops read one after another also how many it read.
"""

import sys
from functools import partial
from importlib import import_module
from math import comb

import numpy as np
import paired_eval
from adaptergate.gating.regression_gate import GateConfig, RegressionGate
from deltagate import evaluate_comparison, paired_delta
from evalsig.compare.gate import gate as evalsig_gate
from evalsig.inference.cluster_bootstrap import ClusterBootstrapOutcome
from evalsig.inference.sequential import sequential_gate
from evalsig.types import ItemResult, RunFrame
from mlflow.genai.evaluation.comparison import paired_comparison
from regressgate import RunReport, compare_reports
from regressgate import gate as regressgate_gate
from regressgate.gate_statistics import PermutationResult, mean_delta
from regressgate.run_report import CaseResult, Trial

# This gate's, for those that are asked its question.
MARGIN, LEVEL = 0.05, 0.05
# A function of that name hides this module.
evalsig_compare = import_module("evalsig.compare.compare")


def counted_shuffles(base, head, *, permutations, seed):
    """Regressgate's permutation test with all shuffles counted instead of 10 000 drawn: its exact p-value.

    Given a case's passed answers on both sides, shuffling leaves the candidate's share hypergeometric; with
    as many answers on both sides the mean difference is decided by the candidate's passed answers.
    """
    law, passed, delta = np.ones(1), 0, mean_delta(base, head)
    for old, new in zip(base, head, strict=True):
        total, both = old.trials + new.trials, old.passes + new.passes
        if 0 < both < total:
            chances = [comb(both, k) * comb(total - both, new.trials - k) for k in range(new.trials + 1)]
            law, passed = np.convolve(law, np.array(chances) / comb(total, new.trials)), passed + new.passes
    return PermutationResult(delta, float(law[: passed + 1].sum()), float(law[passed:].sum()), permutations)


def report(passed, answers):
    """A run as regressgate stores it."""
    cases = [
        CaseResult(id=str(case), trials=[Trial(passed=n < count, latency_s=0.0) for n in range(answers)])
        for case, count in enumerate(passed)
    ]
    return RunReport(regressgate_version="0", created_at="", target="", repeats=answers, cases=cases)


def regressgate(before, now, answers):
    """Its defaults: a drop that its aggregate or its per-case test finds at 0.05 together."""
    return int(compare_reports(report(before, answers), report(now, answers)).failed)


def adaptergate(before, now, answers):
    """Its defaults: a drop of the mean by more than 0.02 is refused."""
    rates = {"before": before / answers, "now": now / answers}
    decision = RegressionGate(GateConfig(min_holdout_size=1)).evaluate(
        tenant_id="t",
        candidate_id="now",
        baseline_id="before",
        holdout=[{"id": place} for place in range(before.size)],
        scorer=lambda adapter, query: float(rates[adapter][query["id"]]),
    )
    return int(not decision.accepted)


def mlflow(before, now, answers, value_type="binary"):
    """What compare_evaluations computes of one scorer; refused if it is significantly worse at its 0.05."""
    found = paired_comparison._compare_paired_values(
        "score", before / answers, now / answers, value_type=value_type, greater_is_better=True
    )
    return int(found.status == "ok" and found.diff < 0 and found.p_value < 0.05)


def frames(before, now, answers, clusters=None):
    """Two runs as evalsig reads them."""
    groups = [None] * before.size if clusters is None else [f"{each}" for each in clusters]
    return [
        RunFrame(
            name,
            name,
            "t",
            "score",
            [
                ItemResult(str(place), float(x), cluster)
                for place, (x, cluster) in enumerate(zip(values, groups, strict=True))
            ],
        )
        for name, values in (("before", before / answers), ("now", now / answers))
    ]


def evalsig(before, now, answers, clusters=None):
    """Three words; a candidate has to be significantly better, by 0.05 at least."""
    found = evalsig_gate(
        *frames(before, now, answers, clusters),
        min_delta=0.05,
        n_resamples=1000 if clusters is None else 10_000,
        cluster=None if clusters is None else "group",
    )
    return {"REJECT": 1, "ALLOW": 0, "INCONCLUSIVE": -1}[found.verdict.value]


def evalsig_interval(before, now, answers, clusters):
    """Its comparison of clusters, asked this gate's question: 5 % a side, margin 0.05."""
    found = evalsig_compare.compare(*frames(before, now, answers, clusters), cluster="group", alpha=2 * LEVEL)
    if found.significant and found.delta < 0:
        return 1
    return 0 if found.ci[0] > -MARGIN else -1


def summed_bootstrap(a, b, cluster_id, *, alternative, ci_level, n_resamples, rng):
    """The clusters' bootstrap of evalsig by their sums: the same draws and figures as by their cases."""
    _, inverse = np.unique(cluster_id, return_inverse=True)
    sums, sizes = np.bincount(inverse, b - a), np.bincount(inverse)
    chosen = np.random.default_rng(rng).integers(0, sums.size, size=(n_resamples, sums.size))
    means, observed = sums[chosen].sum(1) / sizes[chosen].sum(1), float((b - a).mean())
    if alternative == "greater":
        low, high = np.quantile(means, 1 - ci_level), np.inf
        p = np.mean(means - observed >= observed)
    else:
        low, high = np.quantile(means, [(1 - ci_level) / 2, (1 + ci_level) / 2])
        p = np.mean(np.abs(means - observed) >= abs(observed))
    return ClusterBootstrapOutcome(
        delta=observed,
        ci=(float(low), float(high)),
        ci_level=ci_level,
        p_value=max(float(p), 1 / (n_resamples + 1)),
        n_pairs=int(a.size),
        n_clusters=int(sums.size),
        method="cluster_bootstrap",
        sd_diff=float((b - a).std(ddof=1)),
    )


def deltagate_interval(before, now, answers, clusters):
    """Its comparison of clusters, asked this gate's question: 5 % a side, margin 0.05."""
    found = paired_delta(before / answers, now / answers, level=1 - 2 * LEVEL, clusters=clusters)
    if found["p_value"] < 2 * LEVEL and found["delta"] > 0:
        return 1
    return 0 if found["upper"] < MARGIN else -1


def watched(drops, rho):
    """Two sequential tests of evalsig, 5 % each, of a drop and of less than the margin: the first decides."""
    worse = sequential_gate(-drops, alpha=2 * LEVEL, alternative="less", rho=rho)
    fine = sequential_gate(MARGIN - drops, alpha=2 * LEVEL, alternative="greater", rho=rho)
    # At the end of the cases `stopped` may speak of the other side, so the interval is asked.
    read = [
        worse.n_pairs if worse.ci[1] < 0 else np.inf,
        fine.n_pairs if fine.ci[0] > 0 else np.inf,
    ]
    if min(read) == np.inf:
        return -1, drops.size
    return (1, read[0]) if read[0] <= read[1] else (0, read[1])


def deltagate_verdict(before, now, answers):
    """Its report: a real drop at 0.05; one below the detectable difference is unresolved."""
    found = evaluate_comparison(before / answers, now / answers, n_boot=1000)
    if found.significant:
        return int(found.delta > 0)
    return -1 if found.underpowered else 0


def paired_eval_verdict(before, now, answers):
    """Its paired comparison, interpreted: significant, a null that rules an effect out, or uninformative."""
    compared = paired_eval.paired_compare((before / answers).tolist(), (now / answers).tolist(), 1000)
    if compared["p_value"] < 0.05:
        return int(compared["mean_diff"] > 0)
    return 0 if paired_eval.interpret(compared, sims=1)["rules_out"] is not None else -1


def soup(before, now, answers):
    """The documented rule of `soup ship`: a suite may fall by its tolerance, 0.05."""
    return int((before - now).mean() / answers > 0.05)


GATES = {
    "regressgate": regressgate,
    "adaptergate": adaptergate,
    "mlflow": mlflow,
    "evalsig": evalsig,
    "deltagate": deltagate_verdict,
    "paired-eval": paired_eval_verdict,
    "soup ship": soup,
}


# Those that know clusters, and the words of each that it can be asked for.
CLUSTER_GATES = {
    "evalsig": evalsig,
    "evalsig interval": evalsig_interval,
    "deltagate interval": deltagate_interval,
}
# Its default, and about the best for 500 cases.
WATCHES = {"evalsig watch": 1.0, "evalsig watch, rho 8": 8.0}
# Of scores regressgate, which counts passes, says nothing.
SCORE_GATES = {name: rule for name, rule in GATES.items() if name != "regressgate"} | {
    "mlflow": partial(mlflow, value_type="numeric")
}


def main():
    """Judge all runs."""
    regressgate_gate.permutation_test = counted_shuffles
    # Its interval takes most of the time and is not what its assertion looks at.
    paired_comparison._bootstrap_mean_ci = lambda deltas, confidence_level: (0.0, 0.0)
    paired_eval.claim_eval.detectable_effect = lambda *_, **__: 1.0
    evalsig_compare.cluster_bootstrap_ci = summed_bootstrap
    runs, verdicts = np.load(sys.argv[1]), {}
    for name in runs.files:
        if name.endswith((" answers", " clusters")):
            continue
        answers = int(runs[f"{name} answers"])
        if answers < 0:
            for gate, rho in WATCHES.items():
                verdicts[f"{gate}|{name}"] = np.array([watched(drops, rho) for drops in runs[name]])
            print(name, flush=True)
            continue
        rules = GATES if answers else SCORE_GATES
        if f"{name} clusters" in runs.files:
            clusters = runs[f"{name} clusters"]
            rules = rules | {gate: partial(rule, clusters=clusters) for gate, rule in CLUSTER_GATES.items()}
            # It takes as long as all the others, and tests single cases as they do.
            del rules["paired-eval"]
        before, now = runs[name]
        for gate, rule in rules.items():
            verdicts[f"{gate}|{name}"] = np.array(
                [rule(old, new, answers or 1) for old, new in zip(before, now, strict=True)]
            )
        print(name, flush=True)
    np.savez(sys.argv[2], **verdicts)


if __name__ == "__main__":
    main()
