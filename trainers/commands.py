"""This package's entries in the list of ``tunegate`` commands; each command is imported when it is run."""

from harness.cli.deferred import DeferredCommand

advise = DeferredCommand(
    target="trainers.advice.cli:app",
    help="Advise prompting, retrieval or a training method; asks for missing options.",
)
data = DeferredCommand(
    target="trainers.inspection.cli:app", help="Training data: check it before it is trained on."
)
estimate = DeferredCommand(
    target="trainers.estimate.cli:app",
    help="Estimate the memory that training takes on one device, part by part.",
)
train = DeferredCommand(target="trainers.cli:app", help="Train an adapter: tunegate train sft CONFIG.yaml")
