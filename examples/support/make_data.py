"""Makes the files for SFT, KTO and judges from the hand-written pairs.

    python examples/support/make_data.py

Reads pairs.jsonl; writes sft.jsonl (each message with its good reply) and thumbs.jsonl (each message with one
of its replies and a thumb). Reads pairs_held_out.jsonl; writes judge.yaml, labelled items to compare a judge
with: the good reply is A in half of them. Seeded: the same pairs always give the same bytes.
"""

import json
import random
from pathlib import Path

HERE = Path(__file__).parent
SEED = 3


def files() -> dict[str, str]:
    """Content of each file by its name."""
    pairs = _pairs("pairs.jsonl")
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
    lines = {name: "".join(_line(row) for row in content) for name, content in rows.items()}
    return {**lines, "judge.yaml": _labelled(_pairs("pairs_held_out.jsonl"))}


def _pairs(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def _line(row: dict[str, object]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _labelled(pairs: list[dict[str, str]]) -> str:
    """Pairs as labelled items; each is a JSON object, which is YAML too."""
    places = ["a", "b"] * (len(pairs) // 2)
    random.Random(SEED).shuffle(places)
    items = [
        {
            "id": f"reply-{number:02}",
            "task": "pairwise",
            "question": pair["prompt"],
            "answer_a": pair["chosen" if place == "a" else "rejected"],
            "answer_b": pair["rejected" if place == "a" else "chosen"],
            "label": place,
            "reason": f"The other reply has a fault: {pair['fault']}.",
        }
        for number, (pair, place) in enumerate(zip(pairs, places, strict=True))
    ]
    by = "Written with the label, one fault in each rejected reply, by the author of the data; checked by nobody."
    head = f'name: support\nlabelled_by: "{by}"\nitems:\n'
    return head + "".join(f"  - {_line(item)}" for item in items)


if __name__ == "__main__":
    for _name, _content in files().items():
        (HERE / _name).write_text(_content, encoding="utf-8")
