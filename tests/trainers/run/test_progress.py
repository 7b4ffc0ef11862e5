"""What libraries print during training is in the log, and can control no terminal that shows it."""

import io
import logging
import os
import signal
import sys
import warnings

import pytest
from rich.console import Console

from trainers.run.output_log import output_in_log
from trainers.run.progress import Watch
from tunegate.interrupts import interrupt_by_sigterm

pytestmark = pytest.mark.usefixtures("plain_signals")


def test_the_log_is_escaped(tmp_path):
    path = tmp_path / "work" / "train.log"
    with output_in_log(path):
        print("\x1b[2Jgone", "::error::no", sep="\n")
        sys.stderr.write("10%\r20%\r\n")
        logging.getLogger("trl").warning("a\u202eb")
        warnings.warn("c\x07d", stacklevel=1)
        assert not sys.stdout.isatty()
    text = path.read_text()
    assert "⟨ESC⟩[2Jgone\n⟨:⟩:error::no\n10%\n20%\n" in text
    assert "a⟨U+202E⟩b" in text
    assert "c⟨BEL⟩d" in text
    assert not {"\x1b", "\r", "\x07", "\u202e"} & set(text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_after_the_step_and_the_second_at_once(number):
    undo, watch = interrupt_by_sigterm(), Watch(Console(quiet=True))
    try:
        with watch.stop_on_interrupt():
            signal.raise_signal(number)
            assert watch.interrupted
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)  # as before the training
    finally:
        undo()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_line_is_written_stops_after_the_step_too(number):
    """Python refuses to write into a file that is being written."""
    reading, writing = os.pipe()

    class InterruptedFile(io.FileIO):
        def write(self, text):
            if not watch.interrupted:
                os.kill(os.getpid(), number)
            return super().write(text)

    with io.TextIOWrapper(io.BufferedWriter(InterruptedFile(writing, "w")), line_buffering=True) as file:
        watch = Watch(Console(file=file))
        with watch.stop_on_interrupt():
            watch.show(step=1, total=1, loss=2.0)
    assert watch.interrupted
    with os.fdopen(reading) as said:
        assert said.read().splitlines() == [
            "stopping after this step; press Ctrl-C again to stop at once",
            "step 1/1  loss 2.000",
        ]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)])
def test_a_forked_worker_of_a_training_is_ended_by_sigterm_and_survives_ctrl_c(number, status):
    """Ctrl-C reaches all processes of a terminal, and the step needs its loaders to its end."""
    with Watch(Console(quiet=True)).stop_on_interrupt():
        if (child := os.fork()) == 0:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status
