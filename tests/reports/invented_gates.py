"""An invented gate, realistic in shape: orders extracted as JSON, and general probes. No figure is a result."""

import hashlib
import json
import math
import random
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from harness.comparison.findings import metric_findings
from harness.golden.schema import CHECK_TYPES, base_type, check_names
from harness.types import (
    CaseResult,
    Check,
    Comparison,
    Completion,
    Environment,
    ExecutionPlan,
    Forgetting,
    GateRecord,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    Interval,
    Message,
    MetricComparison,
    MetricError,
    MetricSummary,
    ModelRef,
    Outcome,
    Retention,
    Run,
    Score,
    TextLoss,
    Verdict,
)

NAMES = ("Bob", "Amina", "Chloé", "Dmitri", "Eun-ji", "Farid", "Greta", "Hiro", "Inês", "Jamal")
CITIES = ("Paris", "Lagos", "Kraków", "Oslo", "Busan", "Quito", "Graz", "Kyoto", "Porto", "Accra")
ITEMS = ("kettle", "lamp", "notebook", "rain jacket", "bicycle pump", "teapot", "chair", "radio")
SKILLS = {
    "arithmetic": ("What is {a} + {b}? Answer with the number only.", "{total}"),
    "knowledge": ("Which city is the capital of country {a}? One word.", "City{a}"),
    "instructions": ("Repeat the word 'word{a}' and nothing else.", "word{a}"),
    "format": ("Write the number {a} as a JSON object with the key n.", '{{"n": {a}}}'),
}
SYSTEM = "You turn orders into JSON. Answer with the JSON object only."


def invented_training() -> dict[str, Any]:
    noise = random.Random(3)
    return {
        "method": "sft",
        "base_model": "smollm2",
        "data": {"path": "examples/orders/train.jsonl", "rows": 400, "sha256": sha("data")},
        "config": {"learning_rate": 0.001, "lora": {"r": 16, "alpha": 32}, "batch_size": 8, "epochs": 1},
        "seed": 0,
        "losses": [
            {"step": step, "loss": round(2.1 * 0.93**step + 0.06 + noise.random() * 0.08, 4)}
            for step in range(1, 51)
        ],
    }


@dataclass(frozen=True, kw_only=True)
class WrongAnswers:
    """What the invented candidate gets wrong, as counts of cases."""

    orders: int = 40
    lost: int = 0
    gained: int = 0
    both_fail: int = 2
    probes: int = 60
    probes_lost: int = 0
    errored: int = 0
    unscored: int = 0
    collected: int | None = None
    compared: bool = True
    loss_rise: float = 0.004
    training: dict[str, Any] = field(default_factory=invented_training)
    seed: int = 7


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def order_case(number: int) -> GoldenCase:
    pick = random.Random(number)
    order = {
        "name": pick.choice(NAMES),
        "city": pick.choice(CITIES),
        "item": pick.choice(ITEMS),
        "quantity": pick.randint(2, 60),
    }
    sentence = (
        f"{order['name']} from {order['city']} ordered {order['quantity']} {order['item']}s"
        f"{pick.choice(['', ' and wants them by Friday', ', please, to be paid on delivery'])}."
    )
    return GoldenCase(
        id=f"{order['name'].lower()}-{order['item'].replace(' ', '-')}s-{number}",
        set_name="orders",
        messages=(
            Message(role="system", content=SYSTEM),
            Message(
                role="user", content=f"Extract the order with keys name, city, item, quantity.\n{sentence}"
            ),
        ),
        references=(json.dumps(order, ensure_ascii=False),),
        checks=(
            Check(type="is-json"),
            Check(type="json-equals"),
            Check(type="rouge-l", threshold=0.8),
            Check(type="not-contains", value="Sure"),
        ),
        tags=("extraction", *(("accents",) if not order["name"].isascii() else ())),
        must_pass=number == 1,
    )


def probe_case(number: int) -> GoldenCase:
    skill = sorted(SKILLS)[number % len(SKILLS)]
    prompt, reference = SKILLS[skill]
    values = {"a": number + 3, "b": number * 7 % 50, "total": number + 3 + number * 7 % 50}
    return GoldenCase(
        id=f"{skill}-{number}",
        set_name="general",
        messages=(Message(role="user", content=prompt.format(**values)),),
        references=(reference.format(**values),),
        checks=(Check(type="contains"),),
        tags=(skill,),
    )


def wrong_answer(case: GoldenCase, pick: random.Random) -> tuple[str, str]:
    """A wrong answer and its stop reason, of the kinds that small models give."""
    reference = case.references[0]
    if case.set_name != "orders":
        return f"I think the answer is {pick.choice(['unclear', 'not known', 'another one'])}.", "stop"
    order = json.loads(reference)
    kind = pick.randrange(5)
    if kind == 0:
        return json.dumps({**order, "quantity": order["quantity"] * 10}, ensure_ascii=False), "stop"
    if kind == 1:
        return (
            f"Sure! Here is the order you asked for:\n\n{reference}\n\nLet me know if you need more.",
            "stop",
        )
    if kind == 2:
        return reference[:-14], "length"
    if kind == 3:
        return json.dumps({**order, "quantity": str(order["quantity"])}, ensure_ascii=False), "stop"
    return "order order order " * 60, "length"


def scored(case: GoldenCase, text: str, stop: str = "stop", broken: bool = False) -> CaseResult:
    """The case's result, its checks computed as far as an invented one needs."""
    reference = case.references[0]
    scores: list[Score] = []
    for check in case.checks:
        threshold, value = None, 1.0
        if check.type == "is-json":
            try:
                json.loads(text)
                why = "the answer is JSON"
            except ValueError as error:
                value, why = 0.0, f"the answer is no JSON: {error}"
        elif check.type == "json-equals":
            try:
                found, wanted = json.loads(text), json.loads(reference)
                wrong = (
                    [k for k in wanted if found.get(k) != wanted[k]] if isinstance(found, dict) else ["all"]
                )
                value = float(not wrong)
                why = "; ".join(f"{k} is {found[k]!r}, wanted {wanted[k]!r}" for k in wrong) or "equal"
            except ValueError:
                value, why = 0.0, "the answer is no JSON"
        elif check.type == "rouge-l":
            threshold = check.threshold
            shared = len(set(text.split()) & set(reference.split()))
            value = 2 * shared / (len(set(text.split())) + len(set(reference.split())))
            why = f"{shared} words shared with the reference"
        elif check.type == "not-contains":
            value = float(str(check.value) not in text)
            why = f"{check.value!r} {'does not stand' if value else 'stands'} in the answer"
        else:
            value = float(reference in text)
            why = f"{reference!r} {'stands' if value else 'does not stand'} in the answer"
        passed = value >= (threshold if threshold is not None else 1.0)
        scores.append(
            Score(metric=check.type, value=value, threshold=threshold, passed=passed, explanation=why)
        )
    errors = ()
    outcome = Outcome.PASSED if all(score.passed for score in scores) else Outcome.FAILED
    if broken:
        scores.pop(2)
        trace = 'Traceback (most recent call last):\n  File "rouge.py", line 12\nOSError: no such file'
        errors = (MetricError(metric="rouge-l", error="OSError: no such file", traceback=trace),)
        outcome = Outcome.ERRORED
    return CaseResult(
        case=case,
        completion=Completion(
            text=text, stop_reason=stop, prompt_tokens=60, completion_tokens=len(text) // 4, latency_s=0.31
        ),
        scores=tuple(scores),
        errors=errors,
        outcome=outcome,
    )


def make_run(model: ModelRef, results: list[CaseResult], told: WrongAnswers, loss: float, run_id: str) -> Run:
    names = dict.fromkeys(result.case.set_name for result in results)
    return Run(
        id=run_id,
        started_at="2026-01-31T14:25:01+00:00",
        duration_s=163.4,
        model=model,
        plan=ExecutionPlan(
            engine="transformers", dtype="float32", device="cpu", batch_tokens=4096, mixed=True
        ),
        environment=Environment(
            python="3.11.2",
            platform="Linux-6.1-x86_64",
            packages={"tunegate": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2"},
            commit=sha("commit")[:40],
            dirty=True,
        ),
        golden_sets=tuple(
            GoldenSet(
                name=name,
                path=f"golden_sets/{name}.yaml",
                probes_forgetting=name == "general",
                content_sha256=sha(name),
            )
            for name in names
        ),
        collected=told.collected or len(results),
        results=tuple(results),
        text_losses=tuple(
            TextLoss(
                passage=f"passage {number}",
                nats_per_token=2.4 + number / 20 + loss * (0.7 + number / 10),
                tokens=180 + number,
            )
            for number in range(1, 7)
        ),
        metrics={name: CHECK_TYPES[base_type(name)].facts for name in check_names()},
    )


def make_record(told: WrongAnswers | None = None, **counts: Any) -> GateRecord:
    """A gate's record with so many lost, gained and regressed cases, compared and judged."""
    told = replace(told or WrongAnswers(), **counts)
    pick = random.Random(told.seed)
    orders = [order_case(number) for number in range(1, told.orders + 1)]
    probes = [probe_case(number) for number in range(told.probes)]
    drawn = pick.sample(orders, told.lost + told.gained + told.both_fail + told.errored + told.unscored)
    fate = ["lost"] * told.lost + ["gained"] * told.gained + ["both"] * told.both_fail
    fate += ["errored"] * told.errored + ["unscored"] * told.unscored
    fates = {case.key: word for case, word in zip(drawn, fate, strict=True)}
    fates |= {case.key: "lost" for case in pick.sample(probes, told.probes_lost)}
    sides: dict[str, list[CaseResult]] = {"now": [], "before": []}
    for case in [*orders, *probes]:
        fate_of = fates.get(case.key, "")
        for side, fails in (("now", {"lost", "both"}), ("before", {"gained", "both"})):
            asked = replace(case, checks=()) if fate_of == "unscored" else case
            text, stop = wrong_answer(case, pick) if fate_of in fails else (case.references[0], "stop")
            result = scored(asked, text, stop, broken=fate_of == "errored" and side == "now")
            if fate_of == "unscored":
                result = replace(result, outcome=Outcome.UNSCORED)
            sides[side].append(result)
    base = ModelRef(label="smollm2", base_model="smollm2", base_sha256=sha("base"))
    adapter = replace(
        base,
        label="adapters/orders",
        adapter_dir="/home/ada/project/adapters/orders",
        adapter_sha256=sha("adapter"),
        training=TypeAdapter(ModelRef).validate_python({**asdict(base), "training": told.training}).training,
    )
    run = make_run(adapter, sides["now"], told, told.loss_rise, "20260131-142501-7f3a")
    if not told.compared:
        return GateRecord(run=run)
    baseline = make_run(base, sides["before"], told, 0.0, "20260131-142501-0b1e")
    comparison = compared(run, baseline)
    outcome = max((row.verdict for row in comparison.metrics if row.verdict), key=WORST_LAST.index)
    findings = tuple(metric_findings(comparison, {}))
    return GateRecord(
        run=run, baseline=baseline, comparison=comparison, verdict=Verdict(outcome=outcome, findings=findings)
    )


WORST_LAST = (GateVerdict.PASS, GateVerdict.INCONCLUSIVE, GateVerdict.REGRESS)


def compared(run: Run, baseline: Run) -> Comparison:
    """A comparison by rough formulas: the reports' tests must not hang on the gate's statistics."""
    pairs = [
        pair
        for pair in zip(run.results, baseline.results, strict=True)
        if all(result.outcome in {Outcome.PASSED, Outcome.FAILED} for result in pair)
    ]
    paired = {now.key for now, _ in pairs}
    rows: list[MetricComparison] = []
    for golden_set in run.golden_sets:
        of_set = [pair for pair in pairs if pair[0].case.set_name == golden_set.name]
        values = [[float(result.outcome is Outcome.PASSED) for result in pair] for pair in of_set]
        margin = 0.1 if golden_set.probes_forgetting else 0.05
        rows.append(rough_row("pass-rate", "binary", of_set, values, margin))
        for place, score in enumerate(of_set[0][0].scores):
            values = [[result.scores[place].value for result in pair] for pair in of_set]
            kind = "graded" if score.metric == "rouge-l" else "binary"
            rows.append(rough_row(score.metric, kind, of_set, values, None))
    probes = [pair for pair in pairs if pair[0].case.set_name == "general" and pair[1].outcome == "passed"]
    skills = sorted({pair[0].case.tags[0] for pair in probes})
    changes = [
        now.nats_per_token - then.nats_per_token
        for now, then in zip(run.text_losses, baseline.text_losses, strict=True)
    ]
    change = rough_interval(changes, 0.9)
    return Comparison(
        candidate_run=run.id,
        baseline_run=baseline.id,
        metrics=tuple(rows),
        forgetting=Forgetting(
            overall=retention("all", probes) if probes else None,
            by_skill=tuple(
                retention(skill, [p for p in probes if p[0].case.tags[0] == skill]) for skill in skills
            ),
            loss_change=change,
            tripped=change.estimate > 0.1,
        ),
        unpaired=tuple(result.key for result in run.results if result.key not in paired),
    )


def rough_row(
    metric: str, kind: Any, pairs: list[Any], values: list[list[float]], margin: float | None
) -> Any:
    drop = rough_interval([before - now for now, before in values], 0.9)
    verdict = None
    if margin is not None:
        worse = GateVerdict.REGRESS if drop.low > 0 else GateVerdict.INCONCLUSIVE
        verdict = GateVerdict.PASS if drop.high <= margin else worse
    return MetricComparison(
        set_name=pairs[0][0].case.set_name,
        metric=metric,
        kind=kind,
        n=len(pairs),
        candidate=MetricSummary(metric=metric, n=len(pairs), mean=rough_interval([v[0] for v in values])),
        baseline=MetricSummary(metric=metric, n=len(pairs), mean=rough_interval([v[1] for v in values])),
        drop=drop,
        p_value=0.0004 if drop.low > 0 else 0.4,
        p_adjusted=None if margin is None else (0.0008 if drop.low > 0 else 0.8),
        lost=tuple(pair[0].key for pair, (now, before) in zip(pairs, values, strict=True) if before > now),
        gained=tuple(pair[0].key for pair, (now, before) in zip(pairs, values, strict=True) if before < now),
        margin=margin,
        minimum_detectable_drop=1.1 / math.sqrt(len(pairs)),
        verdict=verdict,
    )


def rough_interval(values: list[float], confidence: float = 0.95) -> Interval:
    mean = math.fsum(values) / len(values)
    spread = math.fsum((value - mean) ** 2 for value in values) / len(values)
    half = 1.8 * math.sqrt(spread / len(values)) + 1 / (2 * len(values))
    return Interval(estimate=mean, low=mean - half, high=mean + half, confidence=confidence, method="rough")


def retention(skill: str, probes: list[Any]) -> Retention:
    kept = [float(now.outcome is Outcome.PASSED) for now, _ in probes]
    rate = rough_interval(kept)
    return Retention(
        skill=skill,
        passed_by_baseline=len(kept),
        retained=round(sum(kept)),
        rate=replace(rate, low=max(rate.low, 0.0), high=min(rate.high, 1.0)),
    )
