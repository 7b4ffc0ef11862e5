"""A golden set that uses most keys, and how a test loads its variants."""

from harness.golden.load import load_golden_set

GOOD = """\
name: orders
description: Orders as JSON
generation: {max_new_tokens: 64}
defaults:
  system: Be short.
  tags: [extraction]
  checks: [{type: is-json}]
cases:
  - id: bob
    prompt: |
      Extract the order.
      {{name}} ordered 4 kettles, not {braces}.
    vars: {name: Bob}
    references: ['{"name": "{{name}}", "quantity": 4}']
    checks:
      - {type: json-equals, tolerance: 0.5}
      - {type: rouge-l, threshold: 0.8}
    tags: [number]
    cluster: b
    generation: {max_new_tokens: 8, stop: ["###"]}
  - id: ann
    messages:
      - {role: user, content: Hello}
      - {role: assistant, content: Hi}
      - {role: user, content: Order}
    references: ['[]']
    checks: [{type: is-json, value: {type: array}}]
gate:
  margin: 0.1
  metrics: {rouge-l: {margin: 0.05}}
"""


def load(tmp_path, text):
    path = tmp_path / "set.yaml"
    path.write_text(text, encoding="utf-8")
    return load_golden_set(path)
