"""A plug-in's metric that does not end is named and interrupted, as a project's own function is."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from harness.metrics.call_limit import limited_batch


def limited_metric(
    name: str, function: Callable[[Sequence[Any]], Any], score_each: Callable[..., Any]
) -> Callable[[Sequence[Any]], Any]:
    """A metric's function, each call of which has a limit: for one answer, or for as many as it is given.

    Args:
        name: The metric's, for messages.
        function: Scores a batch of requests.
        score_each: Asks a function for each request's score; what is partial to it takes them one by one.
    """
    place = f"metric {name!r}"

    if isinstance(function, partial) and function.func is score_each:
        (score,) = function.args
        return partial(
            score_each, lambda one: limited_batch(partial(score, one), f"{one.case.key}: {place}", 1)
        )
    return lambda requests: limited_batch(partial(function, requests), place, len(requests))
