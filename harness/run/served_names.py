"""Whether two models behind one server are two, where they gave the same answers throughout."""

from dataclasses import replace

from harness.errors import ModelError
from harness.types import Run


def told_apart(run: Run, baseline: Run) -> Run:
    """The candidate's run; with a note where all its answers are those of another model at its servers.

    Some servers answer whatever name a request has. A model that is not there is then its own baseline, and
    nothing would ever be lost.

    Args:
        run: The candidate's run.
        baseline: The baseline's, of this session or stored.

    Raises:
        ModelError: All answers are equal, and a server of both answers for a name that it doesn't have.
    """
    if (
        run.plan.server is None
        or run.model.adapter_dir is not None
        or run.model.engine != baseline.model.engine
    ):
        return run
    if run.model.base_model == baseline.model.base_model or not (same := _equal_answers(run, baseline)):
        return run
    from harness.engines.served.describe import answering_any_name

    names = f"{run.model.label} and {baseline.model.label}"
    if (
        url := answering_any_name(str(run.model.engine), run.model.base_model, baseline.model.base_model)
    ) is not None:
        raise ModelError(
            f"{names}: all {same} answers are equal, and {url} answers for names of models that it does not "
            f"have: to it they are one model; start one server for each"
        )
    note = f"all {same} answers of {names} are equal: is each of them the model that its name says?"
    return replace(
        run, plan=replace(run.plan, server=replace(run.plan.server, notes=(*run.plan.server.notes, note)))
    )


def _equal_answers(run: Run, baseline: Run) -> int:
    """How many cases both answered, if all answers are equal; otherwise 0."""
    others = {result.key: result.completion for result in baseline.results}
    pairs = [
        (result.completion.text, other.text)
        for result in run.results
        if result.completion is not None and (other := others.get(result.key)) is not None
    ]
    return len(pairs) if all(one == other for one, other in pairs) else 0
