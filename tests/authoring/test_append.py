"""A case is added without touching a byte of what is there."""

import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.authoring.append import append_case, cases_of_last, with_case
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
HEAD = "name: x\ncases:\n"
FIRST = "  - {id: a, prompt: p, checks: [{type: is-json}]}"
# Ways in which people end a file.
STYLES = {
    "gate after it": TEXT,
    "nothing after it": TEXT.partition("\n# about")[0],
    "no last line break": TEXT.partition("\n# about")[0].rstrip(),
    "on one line": f"{HEAD}{FIRST}\n",
    "no indent": "name: x\ncases:\n- id: a\n  prompt: p\n  checks: [{type: is-json}]\ngate: {margin: 0.1}\n",
    "wide indent": "name: x\ncases:\n    -   id: a\n        prompt: p\n        checks: [{type: is-json}]\n",
    "dash alone": f"{HEAD}  -\n    id: a\n    prompt: p\n    checks: [{{type: is-json}}]\n",
    "brackets on several lines": f"{HEAD}  - {{id: a,\n     prompt: p,\n     checks: [{{type: is-json}}]\n    }}   # done\n",
    "nested last": f"{HEAD}  - id: a\n    prompt: p\n    checks:\n      - type: is-json\n        value:\n          required:\n          - b\n",
    "block text last": f"{HEAD}  - id: a\n    checks: [{{type: is-json}}]\n    prompt: |\n      hello\n      # no comment\n\n# one\n",
    "block text that keeps its end": f"{HEAD}  - id: a\n    prompt: p\n    checks: [{{type: is-json}}]\n    metadata:\n      k: |+\n        hello\n\n\ngate: {{margin: 0.1}}\n",
    "folded text last": f"{HEAD}  - id: a\n    checks: [{{type: is-json}}]\n    prompt: >-\n      hello\n      you\n\n\n",
    "plain text on several lines": f"{HEAD}  - id: a\n    checks: [{{type: is-json}}]\n    prompt: some\n      text\n\n      more\n",
    "comments of different depth": f"{HEAD}{FIRST}\n    # of the case\n  # of the list\n\n# of the file\n",
    "nothing as last value": f"{HEAD}  - id: a\n    prompt: p\n    checks: [{{type: is-json}}]\n    system: null  # none\n",
    "document marks": f"---\n{HEAD}{FIRST}\n...\n",
    "windows": f"{HEAD}{FIRST}\n# end\n".replace("\n", "\r\n"),
    "byte order mark": f"\ufeff{HEAD}{FIRST}\n",
    "blank tail": f"{HEAD}{FIRST}\n\n\n\n",
    "list before other keys": "cases:\n" + FIRST + "\nname: x\ngeneration: {seed: 1}\n",
    "quoted key": f'name: x\n"cases":\n{FIRST}\n',
}  # fmt: skip
# Texts that YAML has its own view on.
WORDS = st.sampled_from(
    [
        "yes",
        "null",
        "1e3",
        "0x10",
        "a: b",
        "- a",
        "#x",
        "{a}",
        "'",
        '"',
        "%",
        "@",
        "\t",
        "\x85",
        "\u2028",
        "é",
        "*a",
    ]
)
TEXTS = (st.text(max_size=60) | st.lists(WORDS, max_size=4).map("".join)).map(
    lambda text: text.replace("{{", "{").replace("file://", "")
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def inserted(old: str, new: str) -> str:
    """What was put into the old text, if nothing else was done to it."""
    start = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    # Where both sides of the place are alike, the piece may be read as starting earlier.
    for place in range(start, -1, -1):
        if new.endswith(old[place:]) and new[:place] == old[:place]:
            return new[place : len(new) - len(old[place:])]
    raise AssertionError("the old text was changed")


def test_the_case_stands_behind_the_last_one(tmp_path):
    path = tmp_path / "sums.yaml"
    path.write_text(TEXT)
    append_case(path, NEW)
    added = '  - id: second\n    prompt: "And two?"\n    references: ["4"]\n    checks:\n      - {type: contains}\n'
    before, after = TEXT.split("\n# about the gate")
    assert path.read_text() == before + added + "\n# about the gate" + after


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
@settings(max_examples=25)  # of each of the 21 styles
@given(
    prompt=TEXTS.filter(str.strip),
    references=st.lists(TEXTS, max_size=2),
    metadata=st.dictionaries(TEXTS, VALUES, max_size=3),
)
def test_old_text_stays_and_the_new_case_reads_back(tmp_path_factory, text, prompt, references, metadata):
    """Whatever the case holds: quotes, colons, line breaks, control characters, nested data."""
    path = tmp_path_factory.getbasetemp() / "sums.yaml"
    path.write_bytes(text.encode())
    old = load_golden_set(path)
    case = {
        "id": "second",
        "prompt": prompt,
        "references": references,
        "metadata": metadata,
        "checks": [{"type": "is-json"}],
    }
    golden_set = append_case(path, case)
    assert load_golden_set(path) == golden_set
    assert inserted(text, path.read_bytes().decode()).strip().startswith("- id: second")
    assert golden_set.cases[:-1] == old.cases
    assert golden_set.gate == old.gate
    added = golden_set.cases[-1]
    assert added.messages[-1].content == prompt.rstrip("\n")
    assert added.references == tuple(reference.rstrip("\n") for reference in references)
    assert added.metadata == metadata


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_lines_end_as_the_file_s_do(tmp_path, line_break):
    path = tmp_path / "x.yaml"
    path.write_bytes(f"{HEAD}{FIRST}\n".replace("\n", line_break).encode())
    append_case(path, {**NEW, "prompt": "two\nlines"})
    written = path.read_bytes().decode()
    assert written.replace(line_break, "") == written.replace("\r", "").replace("\n", "")
    assert load_golden_set(path).cases[-1].messages[-1].content == "two\nlines"


def test_a_list_that_is_still_empty_gets_its_first_case(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: x\ncases:  # to come\ngate: {margin: 0.1}\n")
    assert [case.id for case in append_case(path, NEW).cases] == ["second"]
    assert path.read_text().startswith("name: x\ncases:  # to come\n  - id: second\n")
    assert path.read_text().endswith("\ngate: {margin: 0.1}\n")


def test_a_missing_file_is_made_under_its_own_name(tmp_path):
    golden_set = append_case(tmp_path / "golden_sets" / "my own set.yaml", NEW)
    assert golden_set.name == "my-own-set"
    assert len(golden_set.cases) == 1


@pytest.mark.parametrize("name", ["123", "null", "on", "1e5", "2024-01-01", "y", "plain"])
def test_a_file_s_name_that_yaml_reads_as_another_value_is_quoted(tmp_path, name):
    assert append_case(tmp_path / f"{name}.yaml", NEW).name == name
    assert len(append_case(tmp_path / f"{name}.yaml", {**NEW, "id": "third"}).cases) == 2


def test_a_link_and_the_file_s_mode_stay(tmp_path):
    path, link = tmp_path / "x.yaml", tmp_path / "link.yaml"
    path.write_text(f"{HEAD}{FIRST}\n")
    path.chmod(0o640)
    link.symlink_to(path)
    append_case(link, NEW)
    assert link.is_symlink()
    assert len(load_golden_set(path).cases) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("text", "case", "message"),
    [
        (TEXT, {**NEW, "id": "first"}, "'first' is taken by line 5"),
        (TEXT, {**NEW, "checks": [{"type": "nonsense"}]}, "unknown check type 'nonsense'"),
        (TEXT.replace("margin", "margn"), NEW, "sums.yaml:15: gate.margn: unknown key"),
        ("name: x\ncases: [{id: a, prompt: b, checks: [{type: is-json}]}]\n", NEW, "written in brackets"),
        ("{name: x, cases: [{id: a, prompt: b, checks: [{type: is-json}]}]}", NEW, "written in brackets"),
        ("name: x\ncases: []\n", NEW, "written in brackets"),
        ("name: x\n", NEW, "no list of cases to add to"),
        ("name: x\ncases: none\n", NEW, "no list of cases to add to"),
        ("- a\n", NEW, "no list of cases to add to"),
    ],
)
def test_what_can_not_be_added_leaves_the_file_as_it_was(tmp_path, text, case, message):
    path = tmp_path / "sums.yaml"
    path.write_text(text)
    with pytest.raises(GoldenError, match=message):
        append_case(path, case)
    assert path.read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["sums.yaml"]


def test_a_directory_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GoldenError, match="can't be written"):
        append_case(tmp_path / "file" / "x.yaml", NEW)


def test_what_a_case_would_become_is_told_without_writing(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(f"name: x\ndefaults: {{system: Be short.}}\ngeneration: {{seed: 3}}\ncases:\n{FIRST}\n")
    before = path.read_text()
    case = with_case(path, NEW)[1].cases[-1]
    assert [message.content for message in case.messages] == ["Be short.", "And two?"]
    assert case.generation.seed == 3
    assert path.read_text() == before


def test_processes_that_add_cases_at_once_lose_none(tmp_path):
    path = tmp_path / "sums.yaml"
    children = []
    for process in range(3):
        child = os.fork()
        if child == 0:
            for number in range(5):
                append_case(
                    path, {"id": f"p{process}-{number}", "prompt": "Q", "checks": [{"type": "is-json"}]}
                )
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert len(load_golden_set(path).cases) == 15


def test_a_set_that_only_includes_cases_gets_a_list_of_its_own(tmp_path):
    (tmp_path / "_part.yaml").write_text("cases:\n  - {id: a, prompt: p, checks: [{type: is-json}]}\n")
    for text in ("name: x\ninclude: [_part.yaml]", "name: x\ninclude: [_part.yaml]\n# end\n"):
        path = tmp_path / "s.yaml"
        path.write_text(text)
        append_case(path, {"id": "b", "prompt": "q", "checks": [{"type": "is-json"}]})
        assert path.read_text().startswith(text)
        assert [case.id for case in load_golden_set(path).cases] == ["a", "b"]
        append_case(path, {"id": "c", "prompt": "r", "checks": [{"type": "is-json"}]})
        assert [case.id for case in load_golden_set(path).cases] == ["a", "b", "c"]


def test_a_part_of_sets_gets_cases_too(tmp_path):
    part = tmp_path / "_part.yaml"
    for case_id in ("a", "b"):
        append_case(part, {"id": case_id, "prompt": case_id, "checks": [{"type": "is-json"}]})
    (tmp_path / "s.yaml").write_text("name: x\ninclude: [_part.yaml]\n")
    assert [case.id for case in load_golden_set(tmp_path / "s.yaml").cases] == ["a", "b"]


def test_one_entry_may_be_several_cases(tmp_path):
    path = tmp_path / "s.yaml"
    append_case(path, {"id": "a", "prompt": "p", "checks": [{"type": "is-json"}]})
    case = {"id": "b", "prompt": "{{x}}", "vars": {"x": ["one", "two"]}, "checks": [{"type": "is-json"}]}
    golden_set = append_case(path, case)
    assert [each.id for each in cases_of_last(golden_set)] == ["b-one", "b-two"]
    assert [each.id for each in load_golden_set(path).cases] == ["a", "b-one", "b-two"]
