"""What answers and golden sets write into pytest's output controls neither a terminal nor a CI service."""

import json
from xml.etree import ElementTree

import pytest

from harness.plugin.progress import typed_asking, typed_place
from harness.types import Completion

EVIL = "\x1b[2J\x1b]0;pwned\x07no\b\b\n::error file=a::pwned\n  ::set-output name=x::1\u202e\ud800"


def is_harmless(text):
    hidden = {"\x1b", "\x07", "\b", "\u202e", "\ud800"}
    return not hidden & set(text) and not any(line.lstrip().startswith("::") for line in text.splitlines())


def answering(text):
    """An engine's ``generate`` that gives every case the same answer."""

    def generate(engine, requests, on_batch):
        for index, _ in enumerate(requests):
            on_batch(
                {
                    index: Completion(
                        text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1
                    )
                }
            )

    return generate


def test_an_answer_is_shown_escaped(project, monkeypatch):
    monkeypatch.setattr(project.engine, "generate", answering(EVIL))
    done = project.run("--gate-baseline=none", "-rA")
    assert done.ret == 1
    out = done.stdout.str()
    assert "⟨ESC⟩[2J⟨ESC⟩]0;pwned⟨BEL⟩no⟨BS⟩⟨BS⟩" in out
    assert "⟨:⟩:error file=a::pwned" in out
    assert is_harmless(out)
    lost = project.run("--gate-baseline=base", "--gate-fail-on=case", "-rA")
    assert is_harmless(lost.stdout.str())


def test_files_for_other_programs_hold_it_escaped(project, pytester, monkeypatch):
    """JUnit and JSON are read back by their own parsers; the stored run has the answer as it was."""
    monkeypatch.setattr(project.engine, "generate", answering(EVIL + "\x00\ufeff"))
    project.run("--gate-baseline=none", "--junitxml=j.xml", "--gate-json=g.json")
    for name in ("j.xml", "g.json"):
        assert is_harmless((pytester.path / name).read_text(encoding="utf-8"))
    root = ElementTree.parse(pytester.path / "j.xml").getroot()
    assert len(root.findall(".//failure")) > 0
    results = json.loads((pytester.path / "g.json").read_text(encoding="utf-8"))["run"]["results"]
    assert results
    assert all(one["completion"]["text"].endswith("\x00\ufeff") for one in results)


def test_reasons_of_a_golden_set_are_shown_escaped(project, pytester):
    (pytester.path / "golden_sets" / "more.yaml").write_text(
        r"""name: more
cases:
  - {id: a, prompt: Q, skip: "\e[2Jnot now\n::error::x", checks: [{type: contains, value: yes}]}
  - {id: b, prompt: Q, xfail: "\e[2Jknown\n::error::x", checks: [{type: contains, value: never}]}
""".replace("value: yes", "value: 'yes'")
    )
    done = project.run("-rA")
    out = done.stdout.str()
    assert "⟨ESC⟩[2Jnot now⟨LF⟩" in out
    assert "⟨ESC⟩[2Jknown⟨LF⟩" in out
    assert is_harmless(out)


def test_a_key_of_a_golden_set_is_shown_escaped_on_one_line(project, pytester):
    (pytester.path / "golden_sets" / "bad.yaml").write_text(
        'name: s\n"\\e]0;pwned\\a\\e[2J\\n::error::x": 3\ncases:\n- {id: a, prompt: x, checks: [{type: is-json}]}\n'
    )
    done = project.run()
    assert done.ret == 4
    assert is_harmless(done.stderr.str())
    (line,) = [line for line in done.stderr.lines if "bad.yaml" in line]
    assert line.startswith("ERROR: ")
    assert "⟨ESC⟩]0;pwned⟨BEL⟩⟨ESC⟩[2J⟨LF⟩" in line


def test_a_failed_case_says_what_it_tests(project, pytester):
    path = pytester.path / "golden_sets" / "capitals.yaml"
    path.write_text(
        path.read_text().replace(
            "  - id: peru\n", "  - id: peru\n    description: Knows a southern capital\n"
        )
    )
    project.wrong["candidate"] = {"peru"}
    done = project.run("--gate-baseline=none")
    done.stdout.fnmatch_lines(["tests:   Knows a southern capital", "prompt:  What is the capital of peru?"])


@pytest.mark.parametrize("name", ["a\x1b[2J.yaml", "a\n::error::b.yaml", "folder\u202e/a.yaml"])
def test_a_golden_file_whose_name_hides_something_is_refused(project, pytester, name):
    """Pytest would print the name, with whatever it does to a terminal."""
    path = pytester.path / "golden_sets" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("name: s\ncases: [{id: a, prompt: p, checks: [{type: is-json}]}]\n")
    done = project.run("-v")
    assert done.ret == 4
    assert "hidden characters in the name" in done.stderr.str()
    assert is_harmless(done.stdout.str() + done.stderr.str())


class TypedConfig:
    """The options of a command line."""

    def __init__(self, typed):
        self.typed = typed

    def getoption(self, name, default):
        return self.typed.get(name, default)


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ({}, ""),
        ({"tunegate_directory": "my out"}, " --directory 'my out'"),
        ({"tunegate_history": "h.sqlite"}, " --history h.sqlite"),
        ({"tunegate_history": "postgresql://me:secret@host/db"}, ""),
    ],
)
def test_the_command_that_shows_a_run_looks_where_the_run_is(typed, options):
    assert typed_place(TypedConfig(typed)) == options


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ({"tunegate_model": ["a"]}, ""),
        ({"tunegate_golden": ["my sets", "b.yaml"]}, " --golden='my sets' --golden=b.yaml"),
        (
            {"tunegate_base": "/base", "tunegate_chat_template_kwargs": '{"think": false}'},
            " --base=/base --chat-template-kwargs='{\"think\": false}'",
        ),
        ({"tunegate_model_id": "release 1"}, " --model-id='release 1'"),
    ],
)
def test_the_command_that_asks_again_asks_what_this_command_line_did(typed, options):
    assert typed_asking(TypedConfig(typed)) == options
