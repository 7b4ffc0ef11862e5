"""Samples are kept line by line, and cut back when a run goes on from a checkpoint."""

from harness.types.training import SAMPLES_FILE
from trainers.measure.samples import Sample, add_samples, first_and_last, keep_until, read_samples


def sample(step, answer="a\u2028b"):
    return Sample(
        step=step, place="r:1", prompt="p", answer=answer, reward=0.5, rewards={"x": None, "y": 1.0}
    )


def test_what_is_added_is_read(tmp_path):
    add_samples(tmp_path, [sample(1), sample(2)])
    add_samples(tmp_path, [sample(3)])
    assert read_samples(tmp_path) == [sample(1), sample(2), sample(3)]


def test_none_yet(tmp_path):
    assert read_samples(tmp_path) == []


def test_a_line_cut_by_a_crash_is_left_out(tmp_path):
    add_samples(tmp_path, [sample(1), sample(2)])
    path = tmp_path / SAMPLES_FILE
    path.write_text(path.read_text()[:-20])
    assert read_samples(tmp_path) == [sample(1)]


def test_later_steps_are_dropped(tmp_path):
    add_samples(tmp_path, [sample(step) for step in (1, 2, 3)])
    keep_until(tmp_path, 2)
    assert [each.step for each in read_samples(tmp_path)] == [1, 2]


def test_first_and_last_fifth():
    first, last = first_and_last([sample(step) for step in range(1, 11)])
    assert [each.step for each in first] == [1, 2]
    assert [each.step for each in last] == [9, 10]
