"""The page: one file that loads nothing from a server and runs only its own script."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.types import GateRecord
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html.build import build_view
from reports.html.figures import count
from reports.html.page_size import fitting_cases
from reports.html.text import one_line
from reports.html.view import Choice
from tunegate.printable import visible

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).with_name("templates")
# One script in parts, in the order in which they need each other.
_SCRIPTS = ("element.js", "unpack.js", "draw.js", "filter.js", "cases.js", "rows.js", "page.js")
# Rows of a table that are always drawn; a few more are no reason to draw some later.
_FIRST_ROWS, _FEW_ROWS = 12, 20
# Values of a filter. Each is an element of the page.
_MOST_CHOICES = 200
# The view cuts texts that are known to be long; this is for all others.
_LONGEST = 20_000


def render_report(record: GateRecord, earlier: EarlierRuns = NO_EARLIER_RUNS) -> str:
    """One self-contained HTML document.

    All text is escaped and its hidden characters are made visible. The content security policy lets the
    browser load nothing and run only the one script with the given hash; the cases are compressed data, which
    no browser runs.

    Args:
        record: The gate's record.
        earlier: What the run is shown beside.
    """
    style = page_style("style.css")
    script = "\n".join((_TEMPLATES / "script" / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    policy = page_policy(style, script)
    cases, data = fitting_cases(record, earlier)
    view = build_view(record, earlier, cases)
    template = page_environment().get_template("report.html.jinja")
    return template.render(report=view, data=data, style=style, script=_own(script), policy=policy)


def page_style(*names: str) -> Any:
    """The style sheets of a page, as markup."""
    return _own("\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in names))


def page_policy(style: str, script: str | None = None) -> str:
    """The content security policy of a page: it loads nothing, and runs at most its own script.

    Args:
        style: The text of its style element.
        script: The text of its script element; None for none.
    """
    runs = "'none'" if script is None else f"'{_sha256(script)}'"
    return (
        f"default-src 'none'; style-src '{_sha256(style)}'; script-src {runs}; "
        f"img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def page_environment() -> "Environment":
    """The templates, with everything in them escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # The value of each expression passes through here before it is escaped, so no template can forget it.
        finalize=_spelled_out,
    )
    environment.filters |= {"count": count, "one_line": one_line, "most_frequent": _most_frequent}
    environment.globals["first_rows"] = _first_rows
    # Base64 has no sign that could end the element it is in.
    environment.filters["base64"] = _own
    return environment


def _first_rows(rows: Sequence[object]) -> int:
    """Number of a table's rows that are drawn at once."""
    return len(rows) if len(rows) <= _FEW_ROWS else _FIRST_ROWS


def _most_frequent(choices: Sequence[Choice]) -> list[Choice]:
    """The values that most cases have, in their order."""
    kept = sorted(range(len(choices)), key=lambda place: -choices[place].count)[:_MOST_CHOICES]
    return [choices[place] for place in sorted(kept)]


def _spelled_out(value: Any) -> Any:
    """A text with its hidden characters visible and a limited length; a macro's output stays unchanged."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return visible(value if len(value) <= _LONGEST else value[:_LONGEST] + "…")


def _own(text: str) -> Any:
    """A text of this package as markup, which must not be escaped."""
    from markupsafe import Markup

    return Markup(text)


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
