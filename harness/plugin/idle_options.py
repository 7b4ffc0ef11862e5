"""Says which options, settings and keys do nothing in a gate; loaded where there are such to look at."""

import os
from collections.abc import Callable, Iterator, Sequence

import pytest

from harness.comparison.times import repeats_answers
from harness.errors import SettingsError
from harness.golden.idle_keys import GateContext, idle_keys
from harness.history.store import noted_stability
from harness.plugin.asking_tests import may_get
from harness.plugin.collection import GoldenItem
from harness.plugin.selection import Selection
from harness.run.inputs import Inputs
from harness.run.session import metric_facts
from harness.run.without_effect import Use, lines_without_effect
from harness.settings import SETTINGS
from harness.types import GoldenSet
from tunegate.printable import printable_line


class IdleOptions:
    """Looks at the settings of a gate once its cases are known; registered with pytest."""

    def __init__(self, selection: Selection, inputs: Callable[[], Inputs]) -> None:
        """Store what the gate is made of.

        Args:
            selection: The selected cases, and all of the gate.
            inputs: Gets its inputs, which are complete once it is ready.
        """
        self._selection, self._inputs = selection, inputs
        self._lines: Callable[[Inputs], Sequence[str]] = lambda _: ()

    def look(self, session: pytest.Session, *, all_tests: bool) -> None:
        """Find what does nothing.

        Args:
            session: The session, with the selected items.
            all_tests: Whether the gate has no further hand-written tests; one of those may ask a judge.

        Raises:
            pytest.UsageError: An option that does nothing contradicts the others.
        """
        config = session.config
        asks = any(map(_may_ask_judge, session.items))
        chosen, all_sets = self._selection.golden_sets(), self._sets()
        typed = {name for name in SETTINGS if config.getoption(f"tunegate_{name}", None) is not None}

        def found(inputs: Inputs, *, refuse: bool = False) -> Sequence[str]:
            selected = Use(inputs=inputs, golden_sets=chosen, test_asks_judge=asks)
            whole = Use(inputs=inputs, golden_sets=all_sets, test_asks_judge=asks or not all_tests)
            return lines_without_effect(selected, whole, typed, os.environ, refuse=refuse)

        try:
            found(self._inputs(), refuse=not config.option.collectonly)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from error
        # What else is known of the answers, such as their noise, is read once nothing is refused.
        self._lines = found

    def pytest_report_collectionfinish(self) -> list[str]:
        """The lines about settings and about keys of golden sets."""
        return [printable_line(line) for line in (*self._lines(self._inputs()), *self._lines_of_keys())]

    def _sets(self) -> Sequence[GoldenSet]:
        content = self._selection.content
        return () if content is None else content.sets

    def _lines_of_keys(self) -> Iterator[str]:
        inputs = self._inputs()
        baseline = inputs.target.model
        if baseline is None:
            return
        plan = inputs.plan
        for each in self._sets():
            recorded = noted_stability(inputs.noise, baseline, plan, each.cases, metric_facts)
            for rule in idle_keys(each, GateContext(recorded=recorded, exact=repeats_answers(plan))):
                yield f"tunegate: without effect: {rule.key} of {each.name} ({rule.why}: {rule.remedy})"


def _may_ask_judge(item: pytest.Item) -> bool:
    """Whether a hand-written test has the judge's fixture, or gets fixtures at run time."""
    return not isinstance(item, GoldenItem) and may_get(item, "judge")
