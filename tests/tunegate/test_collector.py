"""The collector of circles is stopped only while lasting objects are made, and then passes over them."""

import gc

import pytest

from tunegate.collector import end_passing_over, making_lasting, pass_over


@pytest.fixture(autouse=True)
def _thawed():
    yield
    end_passing_over()


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
    pass_over()
    assert gc.get_freeze_count() > 1000
    end_passing_over()
    assert gc.get_freeze_count() == 0
