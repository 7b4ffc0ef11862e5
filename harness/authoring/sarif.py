"""The lint's findings as SARIF 2.1.0, which code hosts show at the lines of golden sets."""

import json
from collections.abc import Sequence
from importlib import metadata

from harness.authoring.finding import Finding
from harness.errors import GoldenError

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_DOCS = "https://github.com/tunegate/tunegate/blob/main/docs/golden-sets.md"
_NOT_VALID = "not-valid"


def render_sarif(findings: Sequence[Finding], faults: Sequence[GoldenError] = ()) -> str:
    """Findings, and faults of files that are not valid, as one run of the lint.

    Args:
        findings: Those of valid golden sets.
        faults: Why other files are no golden sets.
    """
    results = [
        {
            "ruleId": finding.rule,
            "level": finding.level,
            "message": {"text": ": ".join(filter(None, (finding.case_id, finding.message, finding.remedy)))},
            "locations": [_location(finding.path, finding.line)],
        }
        for finding in findings
    ]
    results += [
        {
            "ruleId": _NOT_VALID,
            "level": "error",
            "message": {"text": ": ".join(filter(None, (fault.key, fault.problem)))},
            "locations": [_location(str(fault.path), fault.line or 1)],
        }
        for fault in faults
    ]
    rules = sorted({str(result["ruleId"]) for result in results})
    driver = {
        "name": "tunegate golden lint",
        "version": metadata.version("tunegate"),
        "informationUri": _DOCS,
        "rules": [{"id": rule, "helpUri": _DOCS} for rule in rules],
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=1) + "\n"


def _location(path: str, line: int) -> dict[str, object]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": path.replace("\\", "/")},
            "region": {"startLine": max(line, 1)},
        }
    }
