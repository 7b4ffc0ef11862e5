"""Bad input is one line with place and remedy and exit status 4, and nothing is loaded."""

import shutil

import pytest


def refused(project, result, *lines):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(list(lines))
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert not project.opened


def test_a_directory_that_is_no_adapter(project, tmp_path):
    project.adapter = tmp_path
    refused(project, project.run(), "ERROR: *neither an adapter (no adapter_config.json) nor a model*")


def test_a_truncated_adapter(project, tmp_path):
    project.adapter = shutil.copytree(project.adapter, tmp_path / "cut")
    weights = project.adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    refused(project, project.run(), "ERROR: *adapter_model.safetensors: truncated*")


def test_a_dead_adapter(project, tmp_path, tiny_model_dir, make_tiny_adapter):
    project.adapter = make_tiny_adapter(tiny_model_dir, tmp_path / "dead", spread=0.0)
    refused(project, project.run(), "ERROR: *dead adapter: every lora_B is zero*")


def test_a_model_that_is_nowhere(project):
    project.adapter = "no-such-model"
    refused(project, project.run(), "ERROR: *no-such-model*")


LONG = "x" * 300


@pytest.mark.parametrize(
    "option", [f"--gate-baseline={LONG}", f"--gate-golden={LONG}", f"--gate-directory={LONG}"]
)
def test_a_path_that_no_file_can_have(project, option):
    refused(project, project.run(option), f"ERROR: *{LONG}*: File name too long")


def test_a_model_that_no_file_can_have(project):
    project.adapter = LONG
    refused(project, project.run(), f"ERROR: {LONG}*: File name too long")


def test_an_unknown_baseline(project):
    refused(project, project.run("--gate-baseline=yesterday"), "ERROR: *yesterday*")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("id: italy", "id: france", "ERROR: *golden_sets/capitals.yaml:8: *france*"),
        ("references: [Rome]", "reference: [Rome]", "ERROR: *capitals.yaml:10: *reference*references*"),
        ("checks: [{type: contains}]", "checks: [{type: contain}]", "ERROR: *capitals.yaml:6: *contain*"),
        (
            "checks: [{type: contains}]",
            "checks: [{type: f1, threshold: 3}]",
            "ERROR: *capitals.yaml:6: *threshold*3*",
        ),
    ],
)
def test_a_broken_golden_set(project, write_golden, old, new, line):
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(project.pytester, "capitals", text.replace(old, new, 1))
    refused(project, project.run(), line)


def test_an_encoder_that_is_not_there(project, write_golden):
    """A check whose encoder is unavailable is refused before the model is loaded, not after."""
    check = "{type: similar, threshold: 0.5, model: nowhere-to-be-found}"
    write_golden(
        project.pytester,
        "meaning",
        f"name: meaning\ncases:\n  - {{id: a, prompt: P, references: [r], checks: [{check}]}}\n",
    )
    refused(project, project.run(), "ERROR: *nowhere-to-be-found*")


def test_two_sets_of_one_name(project, write_golden):
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(project.pytester, "copy", text)
    refused(project, project.run(), "ERROR: *name 'capitals' is taken by*")


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("--gate-margin=7", "ERROR: --gate-margin: found '7' (allowed: a number from 0 to 1)"),
        ("--gate-dtype=int8", "ERROR: --gate-dtype: found 'int8' (allowed: auto | float32*"),
        ("--gate-fail-on=x", "ERROR: --gate-fail-on: found 'x' (allowed: regress | inconclusive | case)"),
        ("--gate-golden=nowhere", "ERROR: no golden set: none of *nowhere exists*"),
    ],
)
def test_a_wrong_option(project, flag, line):
    refused(project, project.run(flag), line)


def test_another_plugin_may_own_the_short_option(project):
    """Where --model is taken, --gate-model still works."""
    project.pytester.makepyfile(
        other="def pytest_addoption(parser): parser.addoption('--model', dest='model', default=None)"
    )
    project.pytester.syspathinsert()
    result = project.pytester.runpytest_subprocess(
        "-p", "other", f"--gate-model={project.adapter}", "--gate-no-forgetting", "--collect-only", "-q"
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["10 tests collected*"])


def with_template(project, tmp_path, template):
    """The project's adapter with a chat template beside it."""
    project.adapter = shutil.copytree(project.adapter, tmp_path / "templated")
    (project.adapter / "chat_template.jinja").write_text(template)


def test_a_chat_template_that_cannot_be_run_is_one_line_for_all_cases(project, tmp_path):
    with_template(project, tmp_path, "{% for %}")
    result = project.run()
    refused(
        project,
        result,
        "ERROR: capitals/france, * and 7 more cases: *templated: the chat template can't be run*",
    )
    assert result.stderr.str().count("ERROR") == 1


def test_a_template_that_refuses_system_messages(project, tmp_path, write_golden):
    """The right cases are named, and the others not."""
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[-1].content }}"
    with_template(project, tmp_path, refusing)
    path = project.pytester.path / "golden_sets/capitals.yaml"
    write_golden(
        project.pytester,
        "capitals",
        path.read_text().replace("- id: italy", "- id: italy\n    system: Be brief."),
    )
    refused(
        project, project.run(), "ERROR: capitals/italy: *refuses it: no system; leave the system message out*"
    )
    project.run("-k", "not italy").assert_outcomes(passed=9, deselected=1)


def test_a_case_that_is_longer_than_the_context(project, write_golden):
    path = project.pytester.path / "golden_sets/capitals.yaml"
    write_golden(
        project.pytester, "capitals", path.read_text().replace("What is", "w1 " * 500 + "What is", 1)
    )
    refused(
        project,
        project.run(),
        "ERROR: capitals/france: *its context of 512; shorten it, lower max_new_tokens*",
    )


def test_a_limit_that_leaves_no_room_for_the_prompt(project, write_golden):
    path = project.pytester.path / "golden_sets/capitals.yaml"
    write_golden(project.pytester, "capitals", "generation: {max_new_tokens: 512}\n" + path.read_text())
    refused(project, project.run(), "ERROR: capitals/* 7 more cases: *and 512 of the answer are more*")


def test_a_hand_written_test_whose_model_cannot_be_asked_is_no_failure(project, tmp_path):
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[-1].content }}"
    with_template(project, tmp_path, refusing)
    project.pytester.makepyfile(
        test_hand="""
        from harness.types import Message

        def test_asks(generate):
            generate([Message(role="system", content="Be brief."), Message(role="user", content="w1")])
        """
    )
    result = project.run("golden_sets", "test_hand.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "refuses it: no system" in result.stdout.str()
