"""An engine that is opened once for all parts of a session, such as its looks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.engines.base import Engine
from harness.engines.open import open_sides
from harness.engines.plugin_engine import close_kept, kept
from harness.run.generation import OpenEngine, uses_of
from harness.types import ExecutionPlan, ModelRef, ServerUse


@dataclass(slots=True)
class KeptEngine:
    """Opens models for several calls of :func:`answer_cases`, and again only where another side is needed.

    Attributes:
        opens: Loads the models.
        before: How servers were used by engines that are no longer open.
    """

    opens: OpenEngine = field(default_factory=lambda: open_sides)
    engine: Engine | None = None
    sides: frozenset[str] = frozenset()
    before: list[ServerUse] = field(default_factory=list)

    @property
    def uses(self) -> list[ServerUse]:
        """How servers were used by each engine that was opened."""
        return uses_of(self.before, self.engine)

    def __call__(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> Engine:
        """An engine with these sides loaded, the opened one if it has them.

        Args:
            sides: The needed models.
            plan: How they should compute.
        """
        if self.engine is None or not self.sides.issuperset(sides):
            self.close()
            self.before, self.engine = self.uses, None  # frees the memory first
            self.engine, self.sides = kept(self.opens(sides, plan)), frozenset(sides)
        return self.engine

    def close(self) -> None:
        """Let the engine release what it holds outside this process; it takes that again if it is asked."""
        if self.engine is not None:
            close_kept(self.engine)
