"""Golden sets of a run that was made elsewhere, beside those of this project."""

import shutil
from dataclasses import replace

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.changed_sets import is_changed
from harness.errors import BaselineError
from harness.golden.load import load_golden_set

SET = """\
name: orders
cases:
  - {id: a, prompt: "file://ask.txt", checks: [{type: is-json, value: "file://schema.json"}]}
"""


@pytest.fixture
def there(tmp_path):
    """The project of the machine that gated, with a GPU."""
    golden = tmp_path / "gpu" / "project" / "golden_sets"
    golden.mkdir(parents=True)
    (golden / "orders.yaml").write_text(SET)
    (golden / "ask.txt").write_text("An order, please.")
    (golden / "schema.json").write_text('{"required": ["id"]}')
    return golden.parent


@pytest.fixture
def here(there, tmp_path):
    """Its clone on the machine that accepts."""
    return shutil.copytree(there, tmp_path / "builds" / "team" / "project")


CHANGES = [
    (lambda golden: None, False),
    (lambda golden: (golden / "orders.yaml").write_text(SET.replace("is-json", "is-json, label: x")), True),
    (lambda golden: (golden / "orders.yaml").write_text("cases: 3\n"), True),
    (lambda golden: (golden / "ask.txt").write_text("Anything, please."), True),
    (lambda golden: (golden / "schema.json").write_text("{}"), True),
    (lambda golden: (golden / "orders.yaml").unlink(), None),
]


@pytest.mark.parametrize(
    ("change", "found"), CHANGES, ids=["as it was", "set", "invalid", "prompt", "schema", "gone"]
)
@pytest.mark.parametrize("told", ["whole", "windows", "below"])
def test_a_set_is_found_where_this_project_has_it(there, here, change, found, told):
    """The path of a run is that of the machine that gated; a file that is still there says nothing here."""
    run = load_golden_set(there / "golden_sets" / "orders.yaml")
    paths = {
        "whole": run.path,
        "windows": "D:\\work\\project\\golden_sets\\orders.yaml",
        "below": "golden_sets/orders.yaml",
    }
    change(here / "golden_sets")
    shutil.rmtree(there)
    assert is_changed(replace(run, path=paths[told]), run.cases, here) is found


def test_a_run_of_another_clone_is_accepted_only_if_this_one_asks_the_same(
    there, here, make_run, make_result
):
    golden_set = load_golden_set(there / "golden_sets" / "orders.yaml")
    result = replace(make_result("orders/a"), case=golden_set.cases[0])
    run = replace(make_run([result]), golden_sets=(golden_set,))
    assert accept_run(run, "shipped", "why", here).is_file()
    (here / "golden_sets" / "schema.json").write_text("{}")
    with pytest.raises(BaselineError, match=r"orders.yaml was changed since; gate again"):
        accept_run(run, "shipped", "why", here)


def test_a_set_outside_the_project_is_read_where_it_is(there, here):
    """Such as the bundled probes, or a folder that several projects share."""
    shutil.rmtree(here / "golden_sets")
    golden_set = load_golden_set(there / "golden_sets" / "orders.yaml")
    assert is_changed(golden_set, golden_set.cases, here) is False
    (there / "golden_sets" / "ask.txt").write_text("Anything.")
    assert is_changed(golden_set, golden_set.cases, here) is True
