"""Converts records of the first schemas, whose verdicts were stored as sentences, to findings.

It uses only the stored JSON: later changes of the types don't change it.
"""

import re
from collections.abc import Mapping
from typing import Any

_CLUSTERS = re.compile(r"n=\d+ in (\d+) clusters")


def with_findings(facts: dict[str, Any]) -> dict[str, Any]:
    """A gate's stored facts with findings in place of reasons, and the new name of regressed cases.

    Figures become findings of their kind; what was stored only as a sentence becomes a note.

    Args:
        facts: The stored ``comparison`` and ``verdict``; changed in place.

    Raises:
        KeyError: The facts are not those of a gate.
    """
    comparison, verdict = facts["comparison"], facts["verdict"]
    if comparison is not None:
        comparison["regressed_cases"] = comparison.pop("broken", [])
        for confirmation in comparison.get("confirmations", []):
            if confirmation["finding"] == "broken":
                confirmation["finding"] = "regressed"
    if verdict is not None:
        reasons = verdict.pop("reasons")
        verdict["findings"] = _findings(comparison or {}, reasons, verdict["outcome"])
    return facts


def with_renamed_limit(facts: dict[str, Any]) -> dict[str, Any]:
    """A run's stored facts, or a baseline's, with the new name of ``max_broken``.

    Args:
        facts: With ``golden_sets``; changed in place.
    """
    for golden_set in facts.get("golden_sets", []):
        gate = golden_set.get("gate", {})
        if "max_broken" in gate:
            gate["max_regressed"] = gate.pop("max_broken")
    return facts


def _findings(comparison: Mapping[str, Any], reasons: list[str], outcome: str) -> list[dict[str, Any]]:
    found = []
    left = list(reasons)
    for row in comparison.get("metrics", []):
        if row["verdict"] is None:
            continue
        name = f"{row['set_name']} {row['metric']} "
        sentence = next((reason for reason in left if reason.startswith(name)), "")
        if sentence:
            left.remove(sentence)
        found.append(_finding(row["verdict"], row["set_name"], row["metric"], _metric_data(row, sentence)))
    forgetting = comparison.get("forgetting") or {}
    if any(reason.startswith("forgetting: ") for reason in left) and forgetting.get("overall"):
        left = [reason for reason in left if not reason.startswith("forgetting: ")]
        worst = [skill for skill in forgetting["by_skill"] if skill["retained"] < skill["passed_by_baseline"]]
        worst.sort(key=lambda skill: (skill["rate"]["estimate"], skill["skill"]))
        data = {"kind": "retention", "overall": forgetting["overall"], "worst": worst}
        found.append(_finding(outcome, None, None, data))
    notes = [_finding(None, None, None, {"kind": "note", "text": reason}) for reason in left]
    order = ["regress", "inconclusive", "pass"]
    return sorted(found, key=lambda finding: order.index(finding["verdict"])) + notes


def _finding(
    verdict: str | None, set_name: str | None, metric: str | None, data: dict[str, Any]
) -> dict[str, Any]:
    return {"verdict": verdict, "set_name": set_name, "metric": metric, "data": data}


def _metric_data(row: Mapping[str, Any], sentence: str) -> dict[str, Any]:
    clusters = _CLUSTERS.search(sentence)
    return {
        "kind": "metric",
        "scale": row["kind"],
        "baseline": row["baseline"]["mean"]["estimate"],
        "candidate": row["candidate"]["mean"]["estimate"],
        "drop": row["drop"],
        "n": row["n"],
        "clusters": int(clusters[1]) if clusters else row["n"],
        "p_value": row["p_value"] if row["p_adjusted"] is None else row["p_adjusted"],
        "lost": len(row["lost"]),
        "gained": len(row["gained"]),
        "margin": row["margin"],
        "minimum_detectable_drop": row["minimum_detectable_drop"],
        "standing": _standing(row),
    }


def _standing(row: Mapping[str, Any]) -> str | None:
    if row["verdict"] != "pass":
        return None
    if row["drop"]["high"] < 0:
        return "better"
    return "equal" if row["drop"]["low"] >= -row["margin"] else "no-worse"
