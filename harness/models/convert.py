"""Dequantise a GGUF file into a directory that transformers loads and trains.

    python -m harness.models.convert MODEL.gguf DIRECTORY

It runs as a separate process: loading prints progress bars and warnings, and its memory is free again at the
end.
"""

import json
import sys
from pathlib import Path

from harness.types.storage import write_whole

LIBRARIES = ("torch", "transformers", "gguf")

# Keys about how a file was made. Without them the same weights have the same hash, whatever wrote them.
_BOOKKEEPING = {
    "config.json": ("transformers_version", "_model_name_or_path", "_name_or_path"),
    "generation_config.json": ("transformers_version", "_from_model_config"),
    "tokenizer_config.json": ("is_local", "local_files_only", "name_or_path"),
}


def convert(gguf: Path, target: Path) -> None:
    """Write weights in bfloat16, configuration, tokenizer and chat template of a GGUF file.

    Args:
        gguf: The file; it also contains the tokenizer and the chat template.
        target: Directory to create.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        # Without it the weights stay quantised and can't be saved or trained.
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # GGUF doesn't contain this limit; the tokenizer's default, 1e30, overflows where it is used.
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    for name, keys in _BOOKKEEPING.items():
        path = target / name
        content = json.loads(path.read_text(encoding="utf-8"))
        kept = {key: value for key, value in content.items() if key not in keys}
        write_whole(path, json.dumps(kept, indent=2, sort_keys=True) + "\n")
    for path in target.iterdir():
        # Weights are saved with permissions for the owner only; the directory may be shared.
        path.chmod((target / "config.json").stat().st_mode)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
