"""What ``tunegate`` shows of this package's commands; each is imported when it is run."""

from harness.cli.deferred import DeferredCommand

advise = DeferredCommand(
    target="trainers.advice.cli:app",
    help="Advise prompting, retrieval or a training method; what isn't given is asked for.",
)
estimate = DeferredCommand(
    target="trainers.estimate.cli:app",
    help="Estimate the memory that training takes on one device, part by part.",
)
train = DeferredCommand(target="trainers.cli:app", help="Train an adapter: tunegate train sft CONFIG.yaml")
