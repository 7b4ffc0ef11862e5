"""The self-contained HTML report."""

from reports.html.render import render_report

__all__ = ["render_report"]
