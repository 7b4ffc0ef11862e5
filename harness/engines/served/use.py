"""Settings of servers: who runs a gate's models, and how servers are asked."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec

from harness.engines.base import SERVED
from harness.engines.open import split_reference
from harness.engines.served.address import MODEL_KEY, OPENAI_KEY, checked_url
from harness.errors import SettingsError
from harness.settings import Settings
from harness.types import ExecutionPlan, ServerUse

VARIABLES = (MODEL_KEY, OPENAI_KEY)


def asked_by(settings: Settings, plan: ExecutionPlan) -> ExecutionPlan:
    """The plan with the engine and the use of servers that settings ask for.

    Args:
        settings: The settings.
        plan: The plan for the models.

    Raises:
        SettingsError: The engine can't run these models.
    """
    if settings.engine == "vllm":
        if plan.engine != "transformers":
            raise SettingsError("--gate-engine vllm: runs a base model and its adapters, and no other model")
        plan = replace(plan, engine="vllm", dtype="unknown", device="server", mixed=False, server=ServerUse())
    if plan.server is None:
        return plan
    identity, url = settings.model_id or "", settings.server
    if url is not None:
        url = checked_url(url, "--gate-server", VARIABLES)
    elif plan.engine == "vllm" and not identity and find_spec("vllm") is not None:
        # A started server computes as its version and arguments say.
        identity = f"vllm {metadata.version('vllm')} {settings.server_args}".strip()
    server = replace(
        plan.server,
        url=url,
        arguments=settings.server_args,
        identity=identity,
        concurrency=settings.server_concurrency,
        timeout_s=settings.server_timeout_s,
        prices=settings.server_prices,
    )
    return replace(plan, server=server)


def refuse_without_server(settings: Settings, references: Sequence[str]) -> None:
    """Refuse settings of servers that would have no effect.

    Args:
        settings: The settings.
        references: The models.

    Raises:
        SettingsError: There are such.
    """
    if settings.engine == "vllm":
        return
    for flag, value in (("--gate-server", settings.server), ("--gate-server-args", settings.server_args)):
        if value:
            raise SettingsError(f"{flag} {value}: needs --gate-engine vllm")
    served = [split_reference(reference) for reference in [*references, settings.baseline]]
    if settings.model_id is not None and not any(each and each[0].name in SERVED for each in served):
        raise SettingsError(
            f"--gate-model-id {settings.model_id}: is for models behind servers, and {references[0]} is none"
        )
