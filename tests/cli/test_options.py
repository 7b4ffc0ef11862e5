"""Options are spelled alike in all commands and in pytest sessions, and mean the same."""

from collections import defaultdict
from typing import Literal, get_origin

import pytest
import typer

from harness.cli.main import app
from harness.settings import SETTINGS


def commands(command, path=("tunegate",)):
    """All commands, by the words that are typed."""
    command = getattr(command, "command", None) or command
    if not hasattr(command, "list_commands"):
        yield " ".join(path), command
        return
    if any(each.param_type_name == "argument" for each in command.params):
        yield " ".join(path), command
    for name in command.list_commands(None):
        yield from commands(command.get_command(None, name), (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))
OPTIONS = defaultdict(dict)
for _words, _command in COMMANDS.items():
    for _each in _command.params:
        if _each.param_type_name == "option":
            for _name in _each.opts:
                OPTIONS[_name][_words] = _each


def test_all_commands_are_seen():
    assert {"tunegate golden lint", "tunegate runs list", "tunegate judge compare", "tunegate report"} <= set(
        COMMANDS
    )
    assert len(COMMANDS) > 25


@pytest.mark.parametrize("name", sorted(name for name, users in OPTIONS.items() if len(users) > 1))
def test_an_option_of_several_commands_is_the_same_kind_of_value(name):
    # Whether it may be repeated is another matter.
    kinds = {
        # Of a choice it is the command's matter between what.
        words: "a choice"
        if get_origin(each.type_descriptor.annotation) is Literal
        else str(each.type_descriptor.annotation).removeprefix("list[").strip("]<>'").removeprefix("class '")
        for words, each in OPTIONS[name].items()
    }
    if name == "--directory":
        # Where a history is read, a URL may stand for the directory.
        kinds = {words: "pathlib.Path" if kind == "str" else kind for words, kind in kinds.items()}
    assert len(set(kinds.values())) == 1, kinds


@pytest.mark.parametrize(
    "setting", ["golden", "directory", "dtype", "device", "baseline", "margin", "judge", "forgetting_margin"]
)
def test_a_setting_has_one_name_everywhere(setting):
    """``--gate-golden`` of a session is ``--golden`` of a command."""
    flag = SETTINGS[setting].flag.replace("--gate-", "--")
    spelled = {
        (words, option)
        for option, users in OPTIONS.items()
        for words, each in users.items()
        if each.name == setting and flag not in each.opts
    }
    assert spelled == set()
    assert flag in OPTIONS


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_whatever_reads_golden_sets_or_the_history_takes_their_place(words):
    """By the names that are known from the other commands."""
    reads = {each.name for each in COMMANDS[words].params}
    names = {option for each in COMMANDS[words].params for option in each.opts}
    if reads & {"history", "directory"}:
        assert "--directory" in names
    assert not names & {"--cache", "--dir", "--golden-set", "--adapters", "--history-file", "--root-dir"}
    if "golden" in reads:
        assert "--golden" in names
