"""The newest points of each series, of runs that have some of them."""

from hypothesis import given
from hypothesis import strategies as st

from harness.studies.newest_points import NewestPoints

NAMES = [("set", "pass-rate"), ("set", "rouge-l"), ("other", "pass-rate")]
RUNS = st.lists(st.sets(st.sampled_from(NAMES)), max_size=20)


def newest(runs, limit):
    """The points of runs, the newest first; each is its run's number."""
    chosen = NewestPoints[int](limit)
    for number, names in enumerate(runs):
        chosen.add(dict.fromkeys(names, number))
    return chosen


def test_a_run_without_a_point_takes_no_place():
    rate, score, _ = NAMES
    chosen = newest([{rate, score}, {rate}, set(), {rate, score}, {rate}, {score}], limit=3)
    assert chosen.series == {rate: [3, 1, 0], score: [5, 3, 0]}


def test_what_only_older_runs_have_is_not_followed():
    rate, score, _ = NAMES
    assert newest([{rate}, {rate}, {rate, score}], limit=2).series == {rate: [1, 0]}


@given(RUNS, st.integers(1, 6))
def test_each_series_has_its_own_newest_points(runs, limit):
    chosen = newest(runs, limit)
    with_any = [names for names in runs if names][:limit]
    assert set(chosen.series) == set().union(*with_any)
    for name, points in chosen.series.items():
        having = [number for number, names in enumerate(runs) if name in names]
        assert points == having[:limit][::-1]
    if chosen.lacking is None:
        assert len(with_any) < limit
    else:
        assert chosen.lacking == {name for name, points in chosen.series.items() if len(points) < limit}
