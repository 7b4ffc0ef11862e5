"""Each stage has a bar of its own."""

import io

from rich.console import Console
from rich.progress import Progress

from harness.presentation.stage_bars import bar_per_stage


def test_a_stage_has_one_bar_from_its_first_report_on():
    with Progress(console=Console(file=io.StringIO())) as bars:
        show = bar_per_stage(bars)
        show("answering", 1, 5)
        show("scoring", 0, 3)
        show("answering", 4, 6)
        assert [(task.description, task.completed, task.total) for task in bars.tasks] == [
            ("answering", 4, 6),
            ("scoring", 0, 3),
        ]
