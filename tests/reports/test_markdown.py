"""The comment on a pull request: read at a glance, sticky, and nothing in it is anybody's markup."""

import re
from collections.abc import Callable
from dataclasses import replace

from harness.presentation.sentences import verdict_line
from harness.types import GateRecord
from reports.markdown import marker_of, render_markdown
from tunegate.printable import printable


def test_verdict_table_and_folded_cases(invented: Callable[..., GateRecord]) -> None:
    record = invented(orders=60, lost=25)
    text = render_markdown(record)
    lines = text.splitlines()
    assert lines[0] == marker_of(record)
    assert lines[2].startswith("### REGRESS: ")
    assert lines[4] == "| metric | n | baseline → now | drop [90 %] | detects | verdict |"
    assert "**regress**" in text
    assert text.count("<details>") == text.count("</details>") == 25
    assert f"tunegate runs show {record.run.id}" in lines[-1]


def test_the_intervals_of_a_run_that_stopped_early_are_called_what_they_are(
    invented: Callable[..., GateRecord],
) -> None:
    record = invented(orders=60, lost=25)
    assert record.comparison is not None
    wide = [replace(row, drop=replace(row.drop, confidence=0.9705)) for row in record.comparison.metrics]
    text = render_markdown(replace(record, comparison=replace(record.comparison, metrics=tuple(wide))))
    assert "| drop [97 %] |" in text
    assert "[90 %]" not in text


def test_an_unstored_run_names_what_saves_it(invented: Callable[..., GateRecord]) -> None:
    saved_later = render_markdown(invented(), "tunegate runs recover").splitlines()[-1]
    assert "`tunegate runs recover` saves it, then `tunegate runs show" in saved_later
    placed = render_markdown(invented(), None, " --directory out").splitlines()[-1]
    assert re.search("`tunegate runs show [^` ]+ --directory out` shows all of it", placed)
    assert "no command can show it" in render_markdown(invented(), "").splitlines()[-1]


def test_without_a_baseline_there_is_no_verdict(invented: Callable[..., GateRecord]) -> None:
    text = render_markdown(invented(compared=False))
    assert "### NO VERDICT" in text
    assert "| metric" not in text


def test_an_answer_can_not_break_out_of_its_block(invented: Callable[..., GateRecord]) -> None:
    record = invented(orders=60, lost=25)
    evil = "```\n</details> @everyone <img src=x> ````"
    results = tuple(
        replace(r, completion=replace(r.completion, text=evil)) if r.completion is not None else r
        for r in record.run.results
    )
    text = render_markdown(replace(record, run=replace(record.run, results=results)))
    outside = re.sub(r"(`{3,})text\n.*?\n\1", "", text, flags=re.DOTALL)
    assert evil in text
    assert "@everyone" not in outside
    assert "<img" not in outside


def test_names_are_no_markup(invented: Callable[..., GateRecord]) -> None:
    record = invented(orders=60, lost=25)
    model = replace(record.run.model, label="a|b --> `c` @team <b>")
    record = replace(record, run=replace(record.run, model=model))
    head = render_markdown(record).splitlines()
    assert head[0].count("-->") == 1
    assert "a\\|b --&gt; \\`c\\` \\@team &lt;b&gt;" in head[2]


def test_a_comment_stays_within_what_the_host_takes(invented: Callable[..., GateRecord]) -> None:
    record = invented(orders=400, lost=300)
    text = render_markdown(record)
    assert len(text) < 65_536
    shown = text.count("<details>")
    assert f"…and {300 - shown} more lost cases in the report." in text


def test_the_line_is_the_same_everywhere(invented: Callable[..., GateRecord]) -> None:
    record = invented(orders=60, lost=25)
    line = verdict_line(record)
    assert line.startswith("REGRESS: ")
    assert "pass-rate fell" in line


def test_nothing_in_it_is_hidden_or_a_command(invented: Callable[..., GateRecord]) -> None:
    record = invented(orders=60, lost=25)
    evil = "\x1b[2J\a\u202e\ud800\n::error::x"
    results = tuple(
        replace(r, completion=replace(r.completion, text=evil)) if r.completion is not None else r
        for r in record.run.results
    )
    model = replace(record.run.model, label=f"mine{evil}")
    text = render_markdown(replace(record, run=replace(record.run, model=model, results=results)))
    assert printable(text) == text
    assert "⟨ESC⟩[2J⟨BEL⟩⟨U+202E⟩⟨U+D800⟩\n⟨:⟩:error::x" in text
    assert text.splitlines()[0].count("⟨LF⟩") == 1
