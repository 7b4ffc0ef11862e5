"""The collector of circles is stopped while lasting objects are made, and ignores them until the end."""

import gc
import subprocess
import sys

import pytest

from tunegate.collector import freeze_objects, making_lasting, unfreeze_objects


@pytest.fixture(autouse=True)
def _thawed():
    yield
    unfreeze_objects()


def test_it_is_off_inside_and_on_again_afterwards():
    with making_lasting():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000


def test_it_is_on_again_after_an_error():
    with pytest.raises(ValueError, match="broken"), making_lasting():
        raise ValueError("broken")
    assert gc.isenabled()


def test_one_that_somebody_stopped_stays_off():
    gc.disable()
    try:
        with making_lasting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_objects_are_passed_over_until_the_end():
    freeze_objects()
    assert gc.get_freeze_count() > 1000
    unfreeze_objects()
    assert gc.get_freeze_count() == 0


_ENDING = """
import gc
from tunegate.collector import unfreeze_objects, freeze_objects
class Circle:
    def __init__(self):
        self.itself = self
    def __del__(self):
        print("taken apart")
lasting = [Circle()]
if {gates}:
    freeze_objects()
    unfreeze_objects()
if {dropped}:
    lasting.clear()
    gc.collect()
    print("collected")
"""


@pytest.mark.parametrize(
    ("gates", "dropped", "said"),
    [
        (False, False, ["taken apart"]),
        (True, False, []),
        (True, True, ["taken apart", "collected"]),
    ],
)
def test_a_process_that_ends_leaves_circles_as_they_are_after_a_gate(gates, dropped, said):
    code = _ENDING.format(gates=gates, dropped=dropped)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == said
