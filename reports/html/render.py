"""The page: one file that loads nothing from a server and runs only its own script."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.types import GateRecord
from reports.html.build import build_view
from reports.html.figures import count
from reports.html.text import one_line
from tunegate.printable import visible

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).with_name("templates")
# The view cuts texts that are known to be long; this is for all others.
_LONGEST = 20_000


def render_report(record: GateRecord) -> str:
    """One self-contained HTML document.

    All text is escaped and its hidden characters are made visible. The content security policy lets the
    browser load nothing and run only the one script with the given hash.

    Args:
        record: The gate's record.
    """
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    script = (_TEMPLATES / "filter.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; style-src '{_sha256(style)}'; script-src '{_sha256(script)}'; "
        f"img-src data:; base-uri 'none'; form-action 'none'"
    )
    template = _environment().get_template("report.html.jinja")
    return template.render(report=build_view(record), style=_own(style), script=_own(script), policy=policy)


@cache
def _environment() -> "Environment":
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
    environment.filters["count"] = count
    environment.filters["one_line"] = one_line
    return environment


def _spelled_out(value: Any) -> Any:
    """A text with its hidden characters visible and a limited length; a macro's output stays unchanged."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return visible(value if len(value) <= _LONGEST else value[:_LONGEST] + "…")


def _own(text: str) -> Any:
    """A file of this package as markup, which must not be escaped."""
    from markupsafe import Markup

    return Markup(text)


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
