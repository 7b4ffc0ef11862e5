"""Whether two models behind one server are two, where they gave the same answers to most cases."""

from dataclasses import replace

from harness.errors import ModelError, SettingsError
from harness.types import Run


def told_apart(run: Run, baseline: Run, *, at_once: bool) -> Run:
    """The candidate's run; with a note where its answers may be those of another model at its servers.

    Some servers answer whatever name a request has. A model that is not there is then its own baseline, and
    nothing would ever be lost. Its answers are not equal throughout: a batch changes some, and a sample each.

    Args:
        run: The candidate's run.
        baseline: The baseline's, of this session or stored.
        at_once: Whether both have answered in this session: a server that was started anew in between may
            have another model, which is as similar as one model is to itself.

    Raises:
        ModelError: They don't differ in most answers, and a server of both answers for a name that it doesn't
            have.
    """
    if (
        run.plan.server is None
        or run.model.adapter_dir is not None
        or run.model.engine != baseline.model.engine
        or run.model.base_model == baseline.model.base_model
    ):
        return run
    compared, equal, greedy, differing = _counted(run, baseline)
    if not compared or 2 * differing > greedy:
        return run
    names = f"{run.model.label} and {baseline.model.label}"
    same = f"{'all' if equal == compared else f'{equal} of'} {compared} answers"
    url = _answering_any_name(run, baseline)
    why = "" if url is None else f", and {url} answers for names of models that it does not have"
    if why and (at_once or equal == compared):
        raise ModelError(
            f"{names}: {same} are equal{why}, so that one may have answered for both; start a server for each"
        )
    if not why and equal < compared:
        return run
    note = f"{same} of {names} are equal{why}: is each of them the model that its name says?"
    return replace(
        run, plan=replace(run.plan, server=replace(run.plan.server, notes=(*run.plan.server.notes, note)))
    )


def _answering_any_name(run: Run, baseline: Run) -> str | None:
    """A server of both that answers for a name that it doesn't have.

    None where there is none, or nobody can ask: a rerun with all answers stored needs neither server nor key.
    """
    from harness.engines.served.describe import answering_any_name

    try:
        return answering_any_name(str(run.model.engine), run.model.base_model, baseline.model.base_model)
    except SettingsError:
        if run.plan.server is not None and run.plan.server.requests:
            raise
        return None


def _counted(run: Run, baseline: Run) -> tuple[int, int, int, int]:
    """How many cases both answered, how many of them alike, how many greedy ones, and of these not alike."""
    others = {result.key: result.completion for result in baseline.results}
    pairs = [
        (result.case.generation.temperature == 0, result.completion.text == other.text)
        for result in run.results
        if result.completion is not None and (other := others.get(result.key)) is not None
    ]
    greedy = [same for is_greedy, same in pairs if is_greedy]
    return len(pairs), sum(same for _, same in pairs), len(greedy), greedy.count(False)
