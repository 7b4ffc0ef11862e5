"""What libraries print during training is in the log, and can control no terminal that shows it."""

import logging
import sys
import warnings

from trainers.run.progress import output_in_log


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
