"""A watch in Prometheus' text format, for a node exporter's textfile collector or a push gateway."""

from collections.abc import Iterable, Iterator

from harness.studies.monitoring.watch import Watch

_PREFIX = "tunegate_monitor"


def exposition(found: Watch) -> str:
    """The watch's counts, rates, evidence and alarms."""
    return "".join(f"{line}\n" for line in _lines(found))


def _lines(found: Watch) -> Iterator[str]:
    yield from _family("answers", "Answers in the log.", [("", sum(each.answers for each in found.windows))])
    last = found.windows[-1]
    if last.latency_s is not None:
        quantiles = zip(("0.5", "0.95"), last.latency_s, strict=True)
        values = [(f'{{quantile="{name}"}}', value) for name, value in quantiles]
        yield from _family("latency_seconds", "Latency in the last window.", values)
    if last.completion_tokens is not None:
        yield from _family(
            "completion_tokens",
            "Mean tokens of an answer in the last window.",
            [("", last.completion_tokens)],
        )
    events = [(f'{{event="{_escaped(each.name)}"}}', each) for each in found.events]
    counted = [(name, each) for name, each in events if each.windows[-1][1]]
    yield from _family(
        "event_ratio",
        "Share of the last window's answers with the event.",
        [(name, each.windows[-1][0] / each.windows[-1][1]) for name, each in counted],
    )
    yield from _family(
        "event_limit", "Largest rate without an alarm.", [(name, each.limit) for name, each in events]
    )
    yield from _family(
        "event_evidence",
        "Evidence for a rate above the limit; 1 is none.",
        [(name, each.evidence[-1]) for name, each in events],
    )
    yield from _family(
        "event_alarm",
        "1 if the rate has risen.",
        [(name, int(each.alarm is not None)) for name, each in events],
    )


def _family(name: str, said: str, values: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP {_PREFIX}_{name} {said}"
    yield f"# TYPE {_PREFIX}_{name} gauge"
    for labels, value in values:
        yield f"{_PREFIX}_{name}{labels} {value:g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
