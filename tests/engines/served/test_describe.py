"""What identifies a served model, and what is refused before anything is asked."""

from dataclasses import replace

import pytest

from harness.baselines.target import find_baseline
from harness.engines.open import choose_plan, describe_model
from harness.engines.served import adapters, describe
from harness.engines.served.describe import _identity
from harness.errors import ModelError, SettingsError
from harness.run.cache import Cache, completion_keys, loss_key
from harness.types import UNKNOWN_WEIGHTS, Completion, GenerationSettings, Message, ModelRef, ServerUse

ASKED = (Message(role="user", content="x"),)


def test_weights_that_a_server_reports_identify_the_model(start_app, tiny_model_dir, tiny_adapter_dir):
    first, second = (start_app(tiny_model_dir, [tiny_adapter_dir]) for _ in range(2))
    adapter, base = tiny_adapter_dir.name, tiny_model_dir.name
    found = describe_model(f"openai:{adapter}@{first}")
    assert found.base_sha256 == describe_model(f"openai:{adapter}@{second}").base_sha256
    assert found.base_sha256 != describe_model(f"openai:{base}@{first}").base_sha256
    assert found.base_sha256 == describe_model(f"openai:{adapter}@{first},{second}").base_sha256
    # Its base is known, and is compared with by default.
    assert found.training.base == f"openai:{base}@{first}"
    with pytest.raises(ModelError, match=f"no such model .it serves: {base}"):
        describe_model(f"openai:other@{first}")


def test_a_pool_of_different_weights_is_refused(
    start_app, tiny_model_dir, tiny_adapter_dir, make_tiny_adapter, tmp_path
):
    other = make_tiny_adapter(tiny_model_dir, tmp_path / tiny_adapter_dir.name, spread=0.5, seed=9)
    urls = [start_app(tiny_model_dir, [adapter]) for adapter in (tiny_adapter_dir, other)]
    with pytest.raises(ModelError, match="serve different weights"):
        describe_model(f"openai:{tiny_adapter_dir.name}@{','.join(urls)}")


@pytest.mark.parametrize("silent", [{}, {"id": "m"}, {"id": "m", "content": "text/plain"}])
def test_a_pool_of_which_only_some_report_weights_is_refused(silent):
    """The first reply without a signature, or the first with one, would end the run."""
    weights = {"base_sha256": "0" * 64, "adapter_sha256": None, "dtype": "float32"}
    entries = {"http://a/v1": {"content": weights}, "http://b/v1": silent, "http://c/v1": silent}
    said = (
        r"^openai:m@http://a/v1,http://b/v1,http://c/v1: no weights are listed by http://b/v1 and http://c/v1, .*"
        r"gate them one by one, or vouch for it by --gate-model-id$"
    )
    with pytest.raises(ModelError, match=said):
        _identity("openai", "m", entries)
    del entries["http://a/v1"]
    assert _identity("openai", "m", entries).startswith(UNKNOWN_WEIGHTS)


def test_unknown_weights_are_others_each_time_unless_the_user_vouches(judge_server):
    """The scripted server has no list of models."""
    spec = f"openai:m@{judge_server.url}"
    found = [describe_model(spec) for _ in range(2)]
    assert all(model.base_sha256.startswith(UNKNOWN_WEIGHTS) for model in found)
    assert found[0].base_sha256 != found[1].base_sha256
    vouched = describe_model(spec, model_id="release 7")
    assert vouched == describe_model(spec, model_id="release 7")
    assert vouched.base_sha256 != describe_model(spec, model_id="release 8").base_sha256
    assert (
        vouched.base_sha256
        != describe_model(f"openai:n@{judge_server.url}", model_id="release 7").base_sha256
    )


@pytest.mark.parametrize(
    "listed",
    [[{"id": "m"}], {"object": "list", "data": [{"id": "b"}, {"id": "m"}, "x"]}, {"data": [{"id": "m"}]}],
)
def test_a_list_of_models_is_read_in_each_form(judge_server, listed):
    """Together's has nothing around it."""
    judge_server.listed = listed
    model = describe_model(f"openai:m@{judge_server.url}")
    assert model.base_sha256.startswith(UNKNOWN_WEIGHTS)


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ([], "none"),
        ({"object": "list", "data": None}, "none"),
        ({"data": [{"id": f"b{n}"} for n in range(8)]}, "b0, b1, b2, b3, b4, b5, b6, b7"),
        ([{"id": f"b{n}"} for n in range(300)], "b0, b1, b2, b3, b4, b5, b6, b7 and 292 more"),
    ],
)
def test_a_model_that_is_not_listed_is_refused_with_the_way_out(judge_server, listed, names):
    """Azure lists base models, and is asked for deployments."""
    judge_server.listed = listed
    spec = f"openai:m@{judge_server.url}"
    with pytest.raises(ModelError) as error:
        describe_model(spec)
    remedy = "if it answers for a name that it does not list, vouch for the model by --gate-model-id"
    assert str(error.value) == f"{spec}: the server has no such model (it serves: {names}); {remedy}"
    assert describe_model(spec, model_id="release 7").base_model == f"m@{judge_server.url}"


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ({"error": "Unexpected endpoint or method. (GET /models)"}, "Unexpected endpoint or method"),
        ("<html>\n<body>Welcome to the gateway</body></html>", "<html> <body>Welcome to the gateway"),
        ({"data": {"m": {}}}, "'m'"),
        (7, "7"),
    ],
)
def test_what_is_no_list_of_models_is_told_with_what_to_look_at(judge_server, listed, said):
    """LM Studio answers any address with status 200, and a gateway with a page."""
    judge_server.listed = listed
    with pytest.raises(
        ModelError, match=r"no list of models, but .*; is the address right, up to /v1\?$"
    ) as error:
        describe_model(f"openai:m@{judge_server.url}")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("parent", [{"id": "b"}, ["b"], 3, None, ""])
def test_a_parent_that_is_no_name_is_none(monkeypatch, parent):
    monkeypatch.setattr(describe, "list_models", lambda client: [{"id": "m", "parent": parent}])
    assert describe_model("openai:m@http://h/v1").training is None


def test_a_model_whose_name_is_no_text_is_passed_over(monkeypatch):
    entries = [{"id": ["b"], "root": {}}, {"id": "b", "root": "b"}]
    monkeypatch.setattr(adapters, "list_models", lambda client: entries)
    model = ModelRef(label="b", base_model="b", base_sha256="0" * 64)
    assert adapters._base_on("http://h/v1", None, model) == entries[1]


@pytest.mark.parametrize(
    ("listed", "base", "is_it"),
    [
        ("org/name", "hf:org/name", True),
        ("org/name", "org/name", True),
        ("hf:org/name", "hf:org/name", True),
        ("org/name@v1", "hf:org/name@v1", True),
        ("org/name", "hf:org/name@v1", False),
        ("org/other", "hf:org/name", False),
    ],
)
@pytest.mark.parametrize("field", ["id", "root"])
def test_a_hub_model_is_joined_under_the_name_that_others_give_it(monkeypatch, field, listed, base, is_it):
    """``vllm serve org/name`` lists that name; what revision it loaded it doesn't say."""
    entry = {"id": "served", "root": "served", field: listed}
    monkeypatch.setattr(adapters, "list_models", lambda client: [entry])
    model = ModelRef(label="b", base_model=base, base_sha256="0" * 64)
    if is_it:
        assert adapters._base_on("http://h/v1", None, model) == entry
        return
    named = f"the base is {base.removeprefix('hf:')}: serve that one, under this name"
    with pytest.raises(ModelError, match=named):
        adapters._base_on("http://h/v1", None, model)


def test_the_user_s_word_for_the_weights_takes_the_baseline_from_no_adapter(
    start_app, tiny_model_dir, tiny_adapter_dir, tmp_path
):
    """The servers' list is read for the default baseline alone, and one server of a pool is enough."""
    urls = f"{start_app(tiny_model_dir, [tiny_adapter_dir])},http://127.0.0.1:9/v1"

    def baseline(wanted, name, urls):
        model = describe_model(f"openai:{name}@{urls}", model_id="release 7")
        return find_baseline(wanted, [model], tmp_path, tmp_path / "h.sqlite", model_id="release 7").model

    base = describe_model(f"openai:{tiny_model_dir.name}@{urls}", model_id="release 7")
    assert baseline("base", tiny_adapter_dir.name, urls) == base
    assert baseline("base", tiny_model_dir.name, urls) is None
    assert baseline("base", "hidden", urls) is None
    assert baseline("none", "m", "http://127.0.0.1:9/v1") is None
    with pytest.raises(ModelError, match=r"is the server running\? It names .* else give --gate-baseline"):
        baseline("base", "m", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    "content",
    [
        "text/plain",
        {"type": "text"},
        {"base_sha256": "0" * 64},
        {"base_sha256": "0" * 63, "adapter_sha256": None},
        {"base_sha256": "0" * 64, "adapter_sha256": "v2"},
        {"base_sha256": None, "adapter_sha256": "0" * 64},
        ["0" * 64],
    ],
)
def test_only_hashes_of_files_identify_weights(content):
    """What another server calls content may stay the same while its weights change."""
    assert _identity("openai", "m", {"u": {"id": "m", "content": content}}).startswith(UNKNOWN_WEIGHTS)
    hashes = {"base_sha256": "0" * 64, "adapter_sha256": None, "dtype": "float32"}
    assert not _identity("openai", "m", {"u": {"content": hashes}}).startswith(UNKNOWN_WEIGHTS)


def test_answers_of_unknown_weights_are_kept_for_one_session_alone(tmp_path):
    unknown = ModelRef(label="m", base_model="m", base_sha256=f"{UNKNOWN_WEIGHTS}1", engine="openai")
    known = replace(unknown, base_sha256="0" * 64)
    plan = choose_plan("auto", "cpu", 4096, [unknown])
    answer = Completion(text="a", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0)
    keys = [
        completion_keys(model, plan)(ASKED, GenerationSettings(), "c", None) for model in (unknown, known)
    ]
    for path in (tmp_path / "cache.sqlite", None):
        with Cache(path) as cache:
            cache.put_all(dict.fromkeys(keys, answer))
            assert [cache.get_completion(key) for key in keys] == [answer, answer]
    with Cache(tmp_path / "cache.sqlite") as cache:
        assert [cache.get_completion(key) for key in keys] == [None, answer]
    assert loss_key(known, plan, (), "t", unknown).startswith("session:")
    # What a server that somebody else started computes with is not known either.
    joined = replace(plan, engine="vllm", server=ServerUse(url="http://h/v1"))
    vouched = replace(joined, server=replace(joined.server, identity="release 7"))
    scopes = [loss_key(known, each, (), "t").partition(":")[0] for each in (joined, vouched)]
    assert (scopes[0], len(scopes[1])) == ("session", 64)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("openai:m@ftp://h/v1", "no model at an address"),
        ("openai:m@http://user:word@h/v1", "put a key into TUNEGATE_MODEL_API_KEY or OPENAI_API_KEY"),
        ("openai:m@http://h/v1?key=1", "contains a user, query or fragment"),
        ("openai:m@http://h/v1,http://h:0/v1", "names no server"),
        ("openai:m@http://127.0.0.1:9/v1", "is the server running"),
        ("openai:gpt-4o", "no key: set TUNEGATE_MODEL_API_KEY or OPENAI_API_KEY"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(reference, reason, monkeypatch):
    for variable in ("TUNEGATE_MODEL_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises((ModelError, SettingsError), match=reason) as error:
        describe_model(reference)
    assert "word" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_certificate_that_is_not_trusted_is_named_once(monkeypatch):
    """It would not be trusted at the next attempt either."""
    openai = pytest.importorskip("openai")
    tried = []

    async def refuse(*_arguments, **_options):
        tried.append(1)
        cause = OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")
        raise openai.APIConnectionError(request=None) from cause

    monkeypatch.setattr(openai.AsyncOpenAI, "get", refuse)
    with pytest.raises(ModelError, match=r"https://h/v1: connection failed: .*self-signed.*SSL_CERT_FILE$"):
        describe_model("openai:m@https://h/v1")
    assert len(tried) == 1
