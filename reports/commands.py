"""This package's entry in the list of ``tunegate`` commands; the command is imported when it is run."""

from harness.cli.deferred import DeferredCommand

report = DeferredCommand(
    target="reports.cli:app",
    help="Write the HTML report of a stored run, and on request its other forms; or the page of a training.",
)
