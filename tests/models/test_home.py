from pathlib import Path

import pytest

from harness.models.home import model_directory, tunegate_home


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TUNEGATE_HOME": "/a/b", "XDG_CACHE_HOME": "/c"}, Path("/a/b")),
        ({"XDG_CACHE_HOME": "/c"}, Path("/c/tunegate")),
        ({"XDG_CACHE_HOME": "relative"}, Path("/user/.cache/tunegate")),
        ({"TUNEGATE_HOME": "", "XDG_CACHE_HOME": ""}, Path("/user/.cache/tunegate")),
        ({"TUNEGATE_HOME": "~/models"}, Path("/user/models")),
        ({}, Path("/user/.cache/tunegate")),
    ],
)
def test_the_first_place_that_is_set_wins(monkeypatch, environment, expected):
    """TUNEGATE_HOME, then XDG_CACHE_HOME (when absolute, as its specification wants), then ~/.cache."""
    monkeypatch.setenv("HOME", "/user")
    for name in ("TUNEGATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert tunegate_home() == expected
    assert model_directory("m") == expected / "models" / "m"


def test_a_relative_home_becomes_absolute(monkeypatch, tmp_path):
    """Messages name a place that can be found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEGATE_HOME", "here")
    assert tunegate_home() == tmp_path / "here"
