"""One place says what belongs to a gate: golden sets, and the bundled probes unless a set probes forgetting itself."""

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import GoldenError
from harness.golden import load
from harness.golden.load import gate_content, load_gate_sets

CASES = "cases:\n  - {id: x, prompt: Q, checks: [{type: equals, value: A}]}\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a golden set below ``golden_sets`` in the working directory."""
    monkeypatch.chdir(tmp_path)

    def make(name, text):
        path = tmp_path / "golden_sets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return make


def test_the_bundled_probes_belong_to_it(write):
    write("a.yaml", "name: a\n" + CASES)
    content = gate_content(None, forgetting=True)
    assert [each.name for each in content.own] == ["a"]
    assert content.bundled
    assert all(each.probes_forgetting for each in content.bundled)
    assert all(case.probes_forgetting for each in content.bundled for case in each.cases)
    assert not any(case.probes_forgetting for each in content.own for case in each.cases)
    assert gate_content(None, forgetting=False).bundled == ()


def test_a_folder_of_the_probes_name_replaces_nothing(write):
    write("general/faq.yaml", "name: faq\n" + CASES)
    assert gate_content(None, forgetting=True).bundled


def test_a_set_that_probes_forgetting_replaces_them_wherever_it_is(write):
    write("mine.yaml", "name: mine\nprobes_forgetting: true\n" + CASES)
    assert gate_content(None, forgetting=True).bundled == ()
    assert gate_content(None, forgetting=False).sets == ()


def test_an_installation_without_the_probes_is_refused(write, tmp_path, monkeypatch):
    """Not a gate that measures no forgetting and says nothing of it."""
    write("a.yaml", "name: a\n" + CASES)
    monkeypatch.setattr(load, "__file__", str(tmp_path / "site/harness/golden/load.py"))
    with pytest.raises(
        GoldenError, match=r"golden_sets.general: tunegate's own probes are missing: install it again"
    ):
        load_gate_sets(None, forgetting=True)
    assert load_gate_sets(None, forgetting=False)
    write("mine.yaml", "name: mine\nprobes_forgetting: true\n" + CASES)
    assert load_gate_sets(None, forgetting=True)


def test_faults_are_kept_and_the_other_files_read(write):
    write("a.yaml", "name: a\n" + CASES)
    write("b.yaml", "nam: b\n" + CASES)
    content = gate_content(None, forgetting=False)
    assert [each.name for each in content.own] == ["a"]
    assert "b.yaml" in str(content.faults[0])
    with pytest.raises(GoldenError, match=r"b\.yaml"):
        load_gate_sets(None, forgetting=False)


def test_two_files_of_one_name_are_refused_by_every_command(write):
    write("a/orders.yaml", "name: orders\n" + CASES)
    write("b/orders.yaml", "name: orders\n" + CASES)
    with pytest.raises(GoldenError, match=r"b.orders\.yaml: name: .*'orders' is taken by .*a.orders\.yaml"):
        load_gate_sets(None, forgetting=False)
    linted = CliRunner().invoke(app, ["golden", "lint"])
    assert "is taken by" in str(linted.exception)
    apart = ["golden_sets/a/orders.yaml", "golden_sets/b/orders.yaml"]
    assert "is taken by" not in str(CliRunner().invoke(app, ["golden", "lint", *apart]).exception)


@pytest.mark.parametrize("command", ["rank", "noise", "parity", "bisect"])
def test_every_command_asks_what_the_gate_asks(command, tiny_model_dir, tiny_adapter_dir, write, monkeypatch):
    """The probes too, unless told not to."""
    write("a.yaml", "name: a\n" + CASES)
    asked = []

    def stop(paths, *, forgetting):
        asked.append((paths, forgetting))
        raise GoldenError("stop", None, "", "seen")

    monkeypatch.setattr(f"harness.cli.{command}.load_gate_sets", stop)
    adapter = str(tiny_adapter_dir)
    arguments = {
        "rank": [adapter, str(tiny_model_dir), "--baseline", str(tiny_model_dir)],
        "noise": ["--model", adapter],
        "parity": ["--model", adapter],
        "bisect": [adapter, "--case", "x"],
    }[command]
    result = CliRunner().invoke(app, [command, *arguments])
    assert asked == [(None, True)], result.exception
    if command != "bisect":
        CliRunner().invoke(app, [command, *arguments, "--no-forgetting"])
        assert asked[1:] == [(None, False)]
