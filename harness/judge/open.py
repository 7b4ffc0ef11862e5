"""Opens a judge by its spec."""

import os
from collections.abc import Mapping

from harness.engines.open import missing_libraries
from harness.errors import SettingsError, faults_of
from harness.judge.base import JudgeEngine
from harness.judge.client import Judge, ReplyStore
from harness.judge.kinds import judge_kinds
from harness.judge.spec import parse_spec
from harness.registry import load_function


def open_judge(
    text: str,
    store: ReplyStore,
    *,
    concurrency: int = 8,
    timeout_s: float = 60.0,
    prices: tuple[float, float] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Judge:
    """A judge by its spec. Nothing is loaded or sent before the first question.

    Args:
        text: ``openai:MODEL@URL``, ``local:MODEL``, ``reward:ADAPTER_DIR`` or a plug-in's.
        store: Where replies are stored.
        concurrency: How many questions are sent at a time.
        timeout_s: Longest time for one attempt.
        prices: Prices of a million prompt tokens and a million completion tokens.
        environment: Contains the key.

    Raises:
        InputError: The spec can't be read, its key is missing, or there is no such model.
    """
    spec = parse_spec(text)
    kind = judge_kinds()[spec.kind]
    if kind.needs_engine and (missing := missing_libraries()):
        raise SettingsError(
            f"judge {spec}: {', '.join(missing)} not installed: pip install 'tunegate[local]'"
        )
    opened = load_function(kind.open, f"judge {spec.kind!r}")
    with faults_of(f"judge {spec}", SettingsError):
        engine: JudgeEngine = opened(spec, timeout_s, environment)
        problem = _wrong_part(engine)
    if problem:
        raise SettingsError(f"judge {spec}: the plug-in's judge has {problem}")
    return Judge(engine, store, concurrency=concurrency, prices=prices)


def _wrong_part(engine: object) -> str:
    """What of an opened judge is not as a judge's engine has it; empty where all is."""
    for name, kind in {"identity": str, "remote": bool, "requests": int, "retried": int}.items():
        value = getattr(engine, name, None)
        if not isinstance(value, kind) or value == "":
            return f"{name} {value!r} (allowed: {kind.__name__})"
    missing = [name for name in ("ask", "close") if not callable(getattr(engine, name, None))]
    return f"no method {missing[0]}" if missing else ""
