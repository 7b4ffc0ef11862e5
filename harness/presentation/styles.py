"""The colours of verdicts in the terminal."""

from harness.types import GateVerdict

STYLES = {GateVerdict.PASS: "green", GateVerdict.REGRESS: "red", GateVerdict.INCONCLUSIVE: "yellow"}
