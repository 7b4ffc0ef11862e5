"""Adapters on a server: which are joined, loaded and unloaded."""

import warnings

import pytest

from harness.engines.served import adapters
from harness.engines.served.adapters import LoadedAdapters
from harness.engines.served.client import RefusedError
from harness.errors import ModelError


@pytest.mark.parametrize("listed", [True, False])
def test_a_server_that_ends_while_an_adapter_is_unloaded_costs_no_verdict(monkeypatch, listed):
    loaded = LoadedAdapters.__new__(LoadedAdapters)
    loaded.url, loaded._own, loaded._known, loaded._client = "http://127.0.0.1:1/v1", {"abc"}, {}, None

    def refuse(*_):
        raise RefusedError("status 500", 500)

    def entries(_):
        if not listed:
            raise ModelError("http://127.0.0.1:1/v1: no reply; is the server running?")
        return [{"id": "abc"}]

    loaded._ask = refuse
    monkeypatch.setattr(adapters, "list_models", entries)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loaded.unload()
    assert ["does not unload the adapter abc" in str(each.message) for each in told] == [True] * listed
