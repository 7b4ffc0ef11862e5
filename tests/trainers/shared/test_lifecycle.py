"""A run of one of TRL's trainers, from its preparation to the result."""

import pytest

ROWS = [{"prompt": f"what is w{i}", "completion": f"one two w{i}"} for i in range(16)]


@pytest.mark.parametrize("rate", [1e30])
def test_a_loss_that_is_no_number_writes_nothing(make_project, capsys, rate):
    project = make_project("sft", ROWS, learning_rate=rate)
    assert project.train() == 4
    assert "the loss became" in capsys.readouterr().err
    assert not project.output.exists()
