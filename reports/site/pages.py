"""The pages as files: each is self-contained, loads nothing, and runs only its own script."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.presentation.terminal import confidences
from reports.html.case_data import pack
from reports.html.render import page_environment, page_policy, page_style
from reports.site import payloads
from reports.site.gathering import SiteData
from reports.site.states import headline, run_rows, state_rows

_SCRIPTS = Path(__file__).parent.parent / "html" / "templates"
_VENDOR = Path(__file__).with_name("vendor")
MARK = '<meta name="generator" content="tunegate site">'
# Characters of the cases' compressed data; longer texts are cut until it fits.
_MOST_CASE_DATA = 3_200_000
_LONGEST, _LEAST = 1_500, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKind:
    """One page.

    Attributes:
        scripts: Its script in parts.
        payload: The data that its script draws; None for a page without.
    """

    title: str
    template: str
    scripts: tuple[str, ...]
    payload: Callable[[SiteData], Any] | None = None
    has_charts: bool = False


def _cases(data: SiteData) -> str:
    """The cases' data, with texts as long as fit."""
    limit = _LONGEST
    packed = pack(payloads.cases_payload(data, limit))
    while len(packed) > _MOST_CASE_DATA and limit > _LEAST:
        limit = max(int(limit * min(0.7, _MOST_CASE_DATA / len(packed))), _LEAST)
        packed = pack(payloads.cases_payload(data, limit))
    return packed


_SHARED = ("script/element.js", "site/shared.js")
_CHARTED = (*_SHARED, "site/chart.js")
PAGES: Mapping[str, PageKind] = {
    "index.html": PageKind(
        title="Overview", template="site/overview.html.jinja", scripts=(*_SHARED, "site/overview.js")
    ),
    "trends.html": PageKind(
        title="Trends",
        template="site/drawn.html.jinja",
        scripts=(*_CHARTED, "site/trends.js"),
        payload=lambda data: pack(payloads.trends_payload(data)),
        has_charts=True,
    ),
    "compare.html": PageKind(
        title="Compare",
        template="site/drawn.html.jinja",
        scripts=(*_SHARED, "site/intervals.js", "site/compare.js"),
        payload=lambda data: pack(payloads.compare_payload(data)),
    ),
    "forgetting.html": PageKind(
        title="Gain and forgetting",
        template="site/drawn.html.jinja",
        scripts=(*_CHARTED, "site/gains.js"),
        payload=lambda data: pack(payloads.gains_payload(data)),
        has_charts=True,
    ),
    "cases.html": PageKind(
        title="Cases", template="site/drawn.html.jinja", scripts=(*_SHARED, "site/cases.js"), payload=_cases
    ),
    "training.html": PageKind(
        title="Training",
        template="site/drawn.html.jinja",
        scripts=(*_CHARTED, "site/trainings.js"),
        payload=lambda data: pack(payloads.trainings_payload(data)),
        has_charts=True,
    ),
}


def render_page(name: str, data: SiteData, *, live: bool = False) -> str:
    """One page as an HTML document.

    Args:
        name: One of :data:`PAGES`.
        data: What is shown.
        live: A server can also make whole reports and compare any two runs by the gate.
    """
    kind = PAGES[name]
    style = page_style("style.css", "site/site.css")
    script = "\n".join((_SCRIPTS / part).read_text(encoding="utf-8") for part in kind.scripts)
    if kind.has_charts:
        style += page_style_of(_VENDOR / "uPlot.min.css")
        script = (_VENDOR / "uPlot.iife.min.js").read_text(encoding="utf-8") + script
    rows = state_rows(data)
    tone, word, sentence = headline(data, rows)
    overview = kind.payload is None
    return (
        page_environment()
        .get_template(kind.template)
        .render(
            title=kind.title,
            site=data.title,
            name=name,
            links=[(each, PAGES[each].title) for each in PAGES],
            tone=tone,
            word=word,
            sentence=sentence,
            rows=rows if overview else [],
            runs=run_rows(data) if overview else [],
            confidence=confidences(each.candidate for run in data.runs for each in run.figures),
            span=f"{data.runs[0].line.started_at[:10]} to {data.runs[-1].line.started_at[:10]}"
            if data.runs
            else "",
            count=len(data.runs),
            problems=data.problems,
            data=None if kind.payload is None else kind.payload(data),
            live=live,
            style=style,
            script=own(script),
            policy=page_policy(style, script),
        )
    )


def page_style_of(path: Path) -> Any:
    """A style sheet of a library, as markup."""
    return own("\n" + path.read_text(encoding="utf-8"))


def own(text: str) -> Any:
    """A text of this package as markup, which must not be escaped."""
    from markupsafe import Markup

    return Markup(text)
