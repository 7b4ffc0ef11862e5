"""What identifies weights behind a server: hashes that our own server lists, and says with each reply.

A list of models says what a server has when it is asked for; a reply says what answered. Between the two, a
server may be started anew with other weights, or exchange an adapter.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PREFIX = "tunegate-"
_DIGITS = 24


def listed_weights(content: object) -> Mapping[str, Any] | None:
    """The hashes of a model's weights as our own server lists them; None for anything else of this name."""
    if not isinstance(content, Mapping) or not {"base_sha256", "adapter_sha256"} <= content.keys():
        return None
    base, adapter = content["base_sha256"], content["adapter_sha256"]
    hashes = [base] if adapter is None else [base, adapter]
    return content if all(isinstance(one, str) and _SHA256.fullmatch(one) for one in hashes) else None


def weights_identity(content: Mapping[str, Any]) -> str:
    """The identity of listed weights.

    Args:
        content: The hashes, and what the server computes in.
    """
    return hashed(["served", json.dumps(content, sort_keys=True)])


def fingerprint_of(identity: str) -> str:
    """What our own server says with each reply of weights, as its ``system_fingerprint``.

    Args:
        identity: The weights' identity.
    """
    return f"{_PREFIX}{identity[:_DIGITS]}"


def names_weights(fingerprint: str) -> bool:
    """Whether a fingerprint is of weights; those of other servers are of a build or a configuration."""
    return fingerprint.startswith(_PREFIX)


def hashed(parts: object) -> str:
    """The SHA-256 of values.

    Args:
        parts: What JSON can hold.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
