"""Makes the files for SFT and KTO from the hand-written pairs.

    python examples/support/make_data.py

Reads pairs.jsonl; writes sft.jsonl (each message with its good reply) and thumbs.jsonl (each message with one of
its replies and a thumb). Seeded: the same pairs always give the same bytes.
"""

import json
import random
from pathlib import Path

HERE = Path(__file__).parent
SEED = 3


def files() -> dict[str, str]:
    """Content of each file by its name, one JSON object a line."""
    lines = (HERE / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line) for line in lines]
    up = [True, False] * (len(pairs) // 2) + [True] * (len(pairs) % 2)
    random.Random(SEED).shuffle(up)
    rows = {
        "sft.jsonl": [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs],
        "thumbs.jsonl": [
            {
                "prompt": pair["prompt"],
                "completion": pair["chosen" if label else "rejected"],
                "label": label,
            }
            for pair, label in zip(pairs, up, strict=True)
        ],
    }
    return {
        name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        for name, content in rows.items()
    }


if __name__ == "__main__":
    for _name, _content in files().items():
        (HERE / _name).write_text(_content, encoding="utf-8")
