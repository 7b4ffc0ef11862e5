"""A case is added without touching a byte of what stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.authoring.append import append_case
from harness.errors import GoldenError
from harness.golden.load import load_golden_set

TEXT = """\
# A comment on top
name:   sums     # odd spacing stays
cases:
  # about the first
  - id: first
    prompt: |
      What is
      one plus one?

    references: ["2"]
    checks: [{type: contains}]   # trailing

# about the gate
gate:
  margin: 0.1
"""
NEW = {"id": "second", "prompt": "And two?", "references": ["4"], "checks": [{"type": "contains"}]}


def test_the_case_stands_behind_the_last_one(tmp_path):
    path = tmp_path / "sums.yaml"
    path.write_text(TEXT)
    append_case(path, NEW)
    added = '  - id: second\n    prompt: "And two?"\n    references: ["4"]\n    checks:\n      - {type: contains}\n'
    before, after = TEXT.split("\n# about the gate")
    assert path.read_text() == before + added + "\n# about the gate" + after


@pytest.mark.parametrize(
    "text", [TEXT, TEXT.split("\n# about", maxsplit=1)[0], TEXT.split("\n# about", maxsplit=1)[0].rstrip()]
)
@given(prompt=st.text(min_size=1, max_size=60).filter(str.strip), reference=st.text(max_size=40))
def test_old_text_stays_and_the_new_case_reads_back(tmp_path_factory, text, prompt, reference):
    """Whatever the prompt holds: quotes, colons, line breaks, control characters."""
    path = tmp_path_factory.mktemp("sets") / "sums.yaml"
    path.write_text(text)
    old = load_golden_set(path)
    prompt = prompt.replace("{{", "{").replace("file://", "")
    reference = reference.replace("{{", "{").replace("file://", "")
    if not prompt.strip():
        return
    new = {**NEW, "prompt": prompt, "references": [reference]}
    golden_set = append_case(path, new)
    written = path.read_bytes().decode("utf-8")
    start = written.index("  - id: second")
    assert written[:start].rstrip("\n") == text[: len(written[:start].rstrip("\n"))]
    assert all(line in written.split("\n") for line in text.split("\n"))
    assert golden_set.cases[:-1] == old.cases
    assert golden_set.cases[-1].messages[-1].content == prompt.rstrip("\n")
    assert golden_set.cases[-1].references == (reference,)


def test_a_prompt_of_several_lines_is_a_block(tmp_path):
    path = tmp_path / "sums.yaml"
    append_case(path, {**NEW, "prompt": "Line one\n\n  line two: {x}"})
    assert "    prompt: |\n      Line one\n\n        line two: {x}\n" in path.read_text()
    assert load_golden_set(path).cases[0].messages[-1].content == "Line one\n\n  line two: {x}"


def test_a_missing_file_is_made_under_its_own_name(tmp_path):
    golden_set = append_case(tmp_path / "golden_sets" / "mine.yaml", NEW)
    assert golden_set.name == "mine"
    assert len(golden_set.cases) == 1


@pytest.mark.parametrize(
    ("text", "case", "message"),
    [
        (TEXT, {**NEW, "id": "first"}, "'first' is taken by line 5"),
        (TEXT, {**NEW, "checks": [{"type": "nonsense"}]}, "unknown check type 'nonsense'"),
        ("name: x\ncases: [{id: a, prompt: b, checks: [{type: is-json}]}]\n", NEW, "written in brackets"),
        ("name: x\n", NEW, "no list of cases to add to"),
    ],
)
def test_what_can_not_be_added_leaves_the_file_as_it_was(tmp_path, text, case, message):
    path = tmp_path / "sums.yaml"
    path.write_text(text)
    with pytest.raises(GoldenError, match=message):
        append_case(path, case)
    assert path.read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["sums.yaml"]
