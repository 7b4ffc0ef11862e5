"""docs/golden-sets.md says of every check type what the loader takes."""

import re
from pathlib import Path

import pytest

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.golden.schema import ExampleYaml, MessageYaml, MetricGateYaml, TurnYaml
from harness.golden.tool_schema import ToolCallYaml, ToolYaml
from harness.registry import Metric
from harness.registry.builtin_metrics import BUILTIN_METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "golden-sets.md").read_text(encoding="utf-8")
VALUES = {
    "string": "text",
    "strings": "list of texts",
    "pattern": "pattern",
    "schema": "JSON Schema",
    "json": "any",
    "quantity": "number or text",
    "texts": "text or list of texts",
}


def row(name: str) -> str:
    """How the page's table should say it."""
    check = BUILTIN_METRICS[name]
    turned = "yes" if check.invertible else "–"
    options = ", ".join(f"`{option}`" for option in check.options.model_fields) or "–"
    return f"| `{name}` | {value_of(check)} | {threshold_of(check)} | {turned} | {options} |"


def value_of(check: Metric) -> str:
    if check.value == "refused":
        return "references" if check.needs_references else "–"
    if check.value == "required":
        return VALUES[check.value_type]
    return VALUES[check.value_type] + (", or references" if check.needs_references else ", or nothing")


def threshold_of(check: Metric) -> str:
    if check.kind == "binary":
        return "–"
    limits = (
        f"{check.minimum:g} and up" if check.maximum is None else f"{check.minimum:g} to {check.maximum:g}"
    )
    return limits.replace("-", "−") + ("" if check.higher_is_better else ", at most")


@pytest.mark.parametrize("name", BUILTIN_METRICS)
def test_each_check_type_has_its_row(name):
    assert row(name) in PAGE.splitlines()


@pytest.mark.parametrize("name", BUILTIN_METRICS)
def test_each_further_key_is_described(name):
    for option in BUILTIN_METRICS[name].options.model_fields:
        assert re.search(rf"^\| `{option}` \| .*`{name.partition('-')[0]}", PAGE, re.MULTILINE), option


def test_no_row_names_a_type_that_is_gone():
    table = PAGE.partition("| type | value")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) == list(BUILTIN_METRICS)


@pytest.mark.parametrize(
    "model",
    [MessageYaml, MetricGateYaml, ExampleYaml, ToolYaml, ToolCallYaml, TurnYaml],
    ids=lambda model: model.__name__,
)
def test_nested_keys_are_described(model):
    assert [name for name in model.model_fields if f"`{name}`" not in PAGE] == []


def test_each_lint_rule_is_described():
    """The rules are literals of the linter's source."""
    source = "".join(
        (Path(__file__).parents[2] / "harness" / "authoring" / name).read_text() for name in ("lint.py",)
    )
    rules = set(re.findall(r'rule="([a-z-]+)"', source)) | {"similar-alone", "perplexity-alone"}
    assert [rule for rule in sorted(rules) if f"`{rule}`" not in PAGE] == []


def test_the_message_that_the_page_shows_is_the_loader_s_own(tmp_path):
    example, *_ = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "orders.yaml"
    path.write_text(example.replace("rouge-l, threshold", "rouge-l, treshold"))
    with pytest.raises(GoldenError) as caught:
        load_golden_set(path)
    assert str(caught.value).replace(str(tmp_path), "golden_sets") in PAGE
