"""What the page of performance compares: ways that were measured in the same conditions."""

from benchmarks.performance_page import page

QUIET, BUSY, LIMIT = 60.0, 100.0, 400.0


def runs(wall_s, **more):
    return {"runs": [{"wall_s": wall_s, "cpu_s": 1.0, "peak_mb": 1.0, "load": 0.1, **more}]}


def ratios(**ways):
    """The column ``ours ÷ it`` by way."""
    rows = {f"64 distinct/{way.replace('_', ' ')}": one for way, one in ways.items()}
    text = page({"speed": {"rows": rows, "machine": "here"}})
    cells = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    return {each[1]: each[5] for each in cells if len(each) == 8}


def test_with_a_core_busy_a_way_is_compared_with_ours_with_a_core_busy():
    """A quiet run of ours beside a busy one of the loop looks like a target that was met."""
    found = ratios(
        tunegate=runs(QUIET),
        bare_loop=runs(120.0),
        tunegate_busy=runs(BUSY),
        bare_loop_busy=runs(LIMIT, unfinished=True),
    )
    assert found["a script's loop over `generate`, tuned"] == "0.50"
    assert found["ours, another process busy on one core"] == "1.00"
    assert found["the script's loop, another process busy on one core"] == "< 0.25"


def test_without_a_finished_run_of_ours_there_is_nothing_to_compare():
    loop = "the script's loop, another process busy on one core"
    assert ratios(tunegate=runs(QUIET), bare_loop_busy=runs(LIMIT, unfinished=True))[loop] == "–"
    ended = {"tunegate_busy": runs(LIMIT, unfinished=True), "bare_loop_busy": runs(LIMIT, unfinished=True)}
    assert ratios(tunegate=runs(QUIET), **ended)[loop] == "–"
