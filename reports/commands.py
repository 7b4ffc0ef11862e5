"""This package's entries in the list of ``tunegate`` commands; a command is imported when it is run."""

from harness.cli.deferred import DeferredCommand

report = DeferredCommand(
    target="reports.cli:app",
    help="Write the HTML report of a stored run, and on request its other forms; or the page of a training.",
)
site = DeferredCommand(
    target="reports.site.cli:site",
    help="Write pages over all stored runs: overview, trends, any two runs, forgetting, cases, trainings.",
)
ui = DeferredCommand(
    target="reports.site.cli:ui",
    help="Serve the pages on this machine, read-only; new runs appear when a page is loaded again.",
)
