"""Nothing that is printed controls a terminal or a CI service, and nothing is printed past the escape."""

import ast
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from harness.errors import DataError, GoldenError, ModelError
from harness.presentation.console import open_console
from tunegate.printable import encodable, printable, printable_line, shown_value

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "trainers", "reports", "tunegate")
# The escape itself, the console that uses it, and pytest's terminal behind it.
_ALLOWED = {
    "tunegate/printable.py",
    "harness/presentation/terminal.py",
    "harness/plugin/progress.py",
    # To the streams of the process in which a check's tests run, which nobody reads.
    "harness/metrics/code_sides.py",
}


def test_half_a_character_is_replaced_where_only_utf_8_is_taken():
    assert encodable("a\ud800b\udc00 \U0001f600") == "a\ufffdb\ufffd \U0001f600"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;pwned\a\x1b[2J", "⟨ESC⟩]0;pwned⟨BEL⟩⟨ESC⟩[2J"),
        ("a\b\b\0\r", "a⟨BS⟩⟨BS⟩⟨NUL⟩⟨CR⟩"),
        ("a\u202eb\ud800", "a⟨U+202E⟩b⟨U+D800⟩"),
        ("::error::x", "⟨:⟩:error::x"),
        ("x\n  ::set-output name=a::b", "x\n  ⟨:⟩:set-output name=a::b"),
        ("see ##[error]x and ##vso[task.x]", "see ⟨#⟩#[error]x and ⟨#⟩#vso[task.x]"),
        ("tests/a.py::test_b ## Title\n\tund 👩‍👧 so", "tests/a.py::test_b ## Title\n\tund 👩‍👧 so"),
    ],
)
def test_a_text_is_shown_and_does_nothing(text, shown):
    assert printable(text) == shown


@given(st.text() | st.text(alphabet=":# \t\n\x1b\x9b[]e\r\u2028\x85"))
def test_no_text_gets_through(text):
    shown = printable(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", shown)
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    assert printable(shown) == shown
    assert "\n" not in printable_line(text)


def test_a_console_escapes_what_it_lays_out_and_keeps_its_own_colours():
    out = io.StringIO()
    table = Table("\x1b[2J", box=None)
    table.add_row(Text("::error::x", style="red"))
    open_console(file=out, force_terminal=True, color_system="standard", width=60).print(table)
    text = out.getvalue()
    assert "⟨ESC⟩[2J" in text
    assert "\x1b[31m" in text
    assert "\x1b[2J" not in text
    assert "⟨:⟩:error" in text


def test_a_text_that_the_console_wraps_begins_no_line_with_a_command():
    out = io.StringIO()
    open_console(file=out, width=20).print(Text("w" * 18 + " ::error::pwned and more"))
    assert not any(line.lstrip().startswith("::") for line in out.getvalue().splitlines())


def test_errors_are_escaped_where_they_are_made():
    assert str(ModelError("a\x1b[2Jb\n::error::c")) == "a⟨ESC⟩[2Jb\n⟨:⟩:error::c"
    assert str(GoldenError("a\nb.yaml", 1, "\x1b\n", "::x")) == "a⟨LF⟩b.yaml:1: ⟨ESC⟩⟨LF⟩: ::x"
    assert "\n" not in str(DataError("a\nb", 2, "bad\nrow"))


def _prints(tree: ast.AST) -> list[str]:
    """Calls that write to a terminal by themselves."""
    found = []
    uses_bars = "rich.progress" in ast.unparse(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        bars = (
            name in {"Progress", "Bars"}
            and uses_bars
            and all(each.arg != "console" for each in node.keywords)
        )
        if (
            name in {"print", "Console", "rich.print"}
            or name.startswith(
                ("typer.echo", "typer.secho", "click.echo", "sys.stdout.write", "sys.stderr.write")
            )
            or name.endswith((".write_line", ".write_sep"))
            or bars
        ):
            found.append(f"{name} (line {node.lineno})")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_prints_past_the_escape(package):
    found = {
        name: calls
        for path in sorted((ROOT / package).rglob("*.py"))
        if (name := str(path.relative_to(ROOT))) not in _ALLOWED
        and (calls := _prints(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3, "3"), ("a b", "'a b'"), ({"a": None}, "{'a': None}"), ("x" * 3000, f"'{'x' * 58}…")],
)
def test_a_value_is_shown_in_a_message_and_not_whole(value, shown):
    assert shown_value(value) == shown
