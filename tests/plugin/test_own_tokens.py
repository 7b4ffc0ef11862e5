"""End to end on a tiny model: an adapter with tokens of its own is judged, its general text too."""

import json

import pytest
import yaml

CASES = [
    {"id": f"c{place}", "prompt": f"w{place} the cat", "checks": [{"type": "not-contains", "value": "zebra"}]}
    for place in range(60)
]


def test_an_adapter_with_tokens_of_its_own(pytester, save_resized_adapter, tiny_model_dir, tmp_path):
    """Trained on another chat format, it begins texts with a token that its base doesn't have."""
    # PEFT imports it; imported inside a run of pytester it would be imported, and registered, again and again.
    pytest.importorskip("bitsandbytes")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    tokenizer.add_special_tokens(
        {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    )
    adapter = save_resized_adapter(tiny_model_dir, tmp_path / "chatml", tokenizer)
    (pytester.path / "golden_sets").mkdir()
    golden = {"name": "calm", "generation": {"max_new_tokens": 3}, "cases": CASES}
    (pytester.path / "golden_sets" / "calm.yaml").write_text(yaml.safe_dump(golden))
    result = pytester.runpytest_inprocess(
        "-p", "no:xdist", f"--model={adapter}", "--gate-json=record.json", "golden_sets"
    )
    record = json.loads((pytester.path / "record.json").read_text())
    assert record["verdict"]["outcome"] in {"pass", "inconclusive"}, result.stdout.str()
    forgetting = record["comparison"]["forgetting"]
    assert forgetting["loss_change"] is not None
    assert forgetting["divergence"]["estimate"] > 0
    result.stdout.fnmatch_lines(["*general text * nats/token, KL *"])
    result.stdout.no_fnmatch_line("*have no KL*")
