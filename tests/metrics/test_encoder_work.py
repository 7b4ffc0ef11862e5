"""What workers get of text encoders."""

import asyncio
import shutil

import pytest
from safetensors.torch import load_file, save_file

from harness.engines.workers.functions import Dealer, FunctionKind
from harness.errors import ModelError
from harness.metrics import encoders, ragas_bridge
from harness.metrics.definition import computed, score_function
from harness.metrics.encoder_work import SentEncoder, encoder_kind, load_encoders
from harness.metrics.encoders import Encoder, find_encoder
from harness.metrics.ragas_bridge import encoder_embeddings
from harness.types import Check
from tests.engines.workers.in_process import InProcess

CHECK = Check(type="answer-relevancy")


class Vectors:
    """Instead of an encoder: a vector of the text's length; an empty text can't be read."""

    def __init__(self, argument):
        del argument

    def compute(self, items):
        return [
            (float(len(text)), 1.0) if text else ValueError("the encoder can't read it") for text in items
        ]


@pytest.fixture
def workers(monkeypatch):
    kind = FunctionKind(path=f"{__name__}:Vectors", argument=None, together=64)
    monkeypatch.setattr(ragas_bridge, "vector_kind", lambda name: kind)
    return InProcess()


def test_texts_that_wait_together_are_one_job_and_equal_ones_are_sent_once(workers):
    pytest.importorskip("ragas")
    found = encoder_embeddings(CHECK, Dealer(lambda: workers))

    async def ask():
        one, several = await asyncio.gather(
            found.aembed_text("question"), found.aembed_texts(["a", "question", "bb"])
        )
        return [one, *several]

    assert asyncio.run(ask()) == [[8.0, 1.0], [1.0, 1.0], [8.0, 1.0], [2.0, 1.0]]
    assert [len(batch) for batch in workers.batches] == [3]


def test_a_text_that_can_not_be_read_is_an_error_of_its_own(workers):
    pytest.importorskip("ragas")
    found = encoder_embeddings(CHECK, Dealer(lambda: workers))

    async def ask():
        return await asyncio.gather(found.aembed_text(""), found.aembed_text("a"), return_exceptions=True)

    fault, vector = asyncio.run(ask())
    assert (str(fault), vector) == ("the encoder can't read it", [1.0, 1.0])


@pytest.fixture
def encoder(monkeypatch, tmp_path):
    """A directory that counts as an encoder, named by a relative path."""
    directory = tmp_path / "mine"
    directory.mkdir()
    (directory / "config.json").write_text('{"num_hidden_layers": 6}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.metrics.encoders.model_sha256", lambda directory: "0" * 64)
    monkeypatch.setattr(
        "harness.metrics.encoders.resolve_model", lambda name, download: encoders.Path(name).resolve()
    )
    encoders.find_encoder.cache_clear()
    yield directory
    encoders.find_encoder.cache_clear()
    encoders._PLACES.clear()


def test_encoders_are_named_with_their_layers_their_files_and_the_libraries(encoder):
    checks = [Check(type="bertscore", options={"model": "mine", **more}) for more in ({}, {"layer": 2}, {})]
    kind = encoder_kind("bertscore", checks)
    metric, sent = kind.argument
    assert (metric, [(each.name, each.layer, each.directory) for each in sent]) == (
        "bertscore",
        [("mine", 6, str(encoder)), ("mine", 2, str(encoder))],
    )
    assert {"torch", "bert-score"} <= kind.versions.keys()


def test_a_worker_elsewhere_finds_the_directory_and_refuses_other_files(encoder, monkeypatch):
    (sent,) = encoder_kind("similar", [Check(type="similar", options={"model": "mine"})]).argument[1]
    encoders.find_encoder.cache_clear()
    monkeypatch.chdir("/")
    loaded = []
    monkeypatch.setattr("harness.metrics.similar.load_encoder", loaded.append)
    load_encoders("similar", [sent])
    assert [(each.name, each.directory) for each in loaded] == [("mine", encoder)]
    assert isinstance(loaded[0], Encoder)
    other = SentEncoder(name="mine", directory=str(encoder), sha256="1" * 64)
    with pytest.raises(ModelError, match="the encoder mine has other files there than here"):
        load_encoders("similar", [other])


LOADERS = {"similar": "sentence_transformers.SentenceTransformer", "bertscore": "bert_score.BERTScorer"}


@pytest.fixture
def changed_encoder(tiny_encoder_dir, tmp_path):
    """An encoder, and what changes its files."""
    copy = shutil.copytree(tiny_encoder_dir, tmp_path / "mine")

    def change():
        weights = load_file(copy / "model.safetensors")
        doubled = {name: 2 * tensor for name, tensor in weights.items()}
        save_file(doubled, copy / "model.safetensors", {"format": "pt"})

    find_encoder(str(copy))
    return copy, change


@pytest.mark.parametrize("metric", LOADERS)
def test_an_encoder_whose_files_change_before_it_loads_scores_nothing_and_is_not_loaded(
    metric, changed_encoder, request_for, monkeypatch
):
    """Each part of a batch asks for it, down to single answers: loading it for each took minutes."""
    (copy, change), loaded = changed_encoder, []
    monkeypatch.setattr(LOADERS[metric], lambda *arguments, **options: loaded.append(arguments))
    change()
    requests = [request_for(metric, text, "the call", model=str(copy)) for text in ("the book", "who", "in")]
    results = computed(score_function(metric), requests)
    assert ["mine: its files changed before they were loaded" in one.error for one in results] == [True] * 3
    assert loaded == []


@pytest.mark.parametrize("metric", LOADERS)
def test_an_encoder_whose_files_change_while_it_loads_scores_nothing(
    metric, changed_encoder, request_for, monkeypatch
):
    """Its scores would be stored under the hash of the files before."""
    copy, change = changed_encoder
    monkeypatch.setattr(LOADERS[metric], lambda *arguments, **options: change())
    with pytest.raises(ModelError, match="mine: its files changed before they were loaded"):
        score_function(metric)([request_for(metric, "the book", "the call", model=str(copy))])
