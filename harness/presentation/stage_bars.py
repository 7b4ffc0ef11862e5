"""Progress bars on a terminal, one for each stage."""

from rich.progress import Progress as Bars
from rich.progress import TaskID

from harness.run.generation import Progress


def bar_per_stage(bars: Bars) -> Progress:
    """A function that shows each stage's progress as a bar of its own, from its first report on.

    Args:
        bars: The display; open while the function is called.
    """
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    return show
