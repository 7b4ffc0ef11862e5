"""Servers that take requests and never answer: others are asked, and nothing waits for them for long."""

import asyncio
import socket
import time

import pytest

from harness.engines.served.client import PassingFaultError, ServerClient, ServerError
from harness.engines.served.patience import Patience, Silence
from harness.engines.served.pool import Job, ServerPool

pytest.importorskip("openai")
_LIMIT_S = 0.5
_BODY = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture
def hung_url():
    """The system takes the connections; no process ever reads what comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


@pytest.fixture
def gone_url():
    """Nothing listens there any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/v1"


async def send(client, sent):
    return await client.chat.completions.create(**sent)


def ask(urls, number, *, concurrency=8, limit_s=_LIMIT_S):
    """The results, the seconds they took, and the clients."""
    jobs = [
        Job(body=_BODY | {"seed": each}, send=send, read=lambda reply, _: reply.choices[0].message.content)
        for each in range(number)
    ]
    attempts = 6 if len(urls) == 1 else 3
    servers = [ServerClient(url, None, timeout_s=limit_s, attempts=attempts) for url in urls]
    found, begun_s = {}, time.monotonic()
    ServerPool(servers, concurrency).ask_all(jobs, found.__setitem__)
    return [found[place] for place in range(number)], time.monotonic() - begun_s, servers


@pytest.fixture(autouse=True)
def imported(judge_server):
    """What the first request imports takes longer than the limits here."""
    judge_server.answer = lambda body: "good"
    assert ask([judge_server.url], 1, limit_s=60)[0] == ["good"]


@pytest.mark.parametrize("at", [0, 1])
def test_what_a_hung_server_took_goes_to_another_one_after_one_time_limit(judge_server, hung_url, at):
    urls = [judge_server.url]
    urls.insert(at, hung_url)
    limit_s = 2.0
    found, took_s, servers = ask(urls, 60, limit_s=limit_s)
    assert {*found} == {"good"}
    # One after the other, eight at a time, they take eight limits.
    assert took_s < 5 * limit_s
    # As many as are under way at once; then it is asked no more.
    assert servers[at].requests <= 8
    assert servers[at].is_gone


@pytest.mark.parametrize("at", [0, 1])
def test_what_a_dead_server_took_goes_to_another_one_at_once(judge_server, gone_url, at):
    urls = [judge_server.url]
    urls.insert(at, gone_url)
    found, _, servers = ask(urls, 60, limit_s=30)
    assert {*found} == {"good"}
    assert servers[at].requests <= 24


def test_a_hung_server_that_stands_alone_is_waited_for_two_time_limits(hung_url):
    limit_s = 1.5
    found, took_s, servers = ask([hung_url], 60, limit_s=limit_s)
    assert all(isinstance(error, ServerError) and error.is_unreachable for error in found)
    assert "requests in a row; the last: no reply within 1.5 s" in str(found[-1])
    # Two limits and the pause between the attempts; each request's own attempts in turn would take a minute.
    assert 2 * limit_s <= took_s < 30
    assert servers[0].requests < 24


def test_servers_that_all_hang_are_waited_for_two_time_limits(hung_url):
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        other = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        found, took_s, _ = ask([hung_url, other], 100, limit_s=1.5)
    assert all(isinstance(error, ServerError) and error.is_unreachable for error in found)
    assert took_s < 30


def alone(reply, number, *, concurrency, limit_s):
    """As ask, of one server whose reply a coroutine gives by number."""

    async def sent_to(_client, sent):
        return await reply(sent["number"])

    jobs = [Job(body={"number": at}, send=sent_to, read=lambda found, _: found) for at in range(number)]
    client = ServerClient("http://one/v1", None, timeout_s=limit_s, attempts=6, first_wait_s=0.01)
    found = {}
    ServerPool([client], concurrency).ask_all(jobs, found.__setitem__)
    return found, client


def test_a_server_that_answers_some_of_many_requests_is_slow_and_not_down():
    """It answers one after the other; most of those that are under way reach their limit together."""
    turns = []

    async def reply(number):
        turns.append(number)
        lock = locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            await asyncio.sleep(0.04)
        return number

    locks = {}
    found, client = alone(reply, 40, concurrency=40, limit_s=0.5)
    assert len(turns) > 40 + 24
    assert not client.is_gone
    assert sum(found[number] == number for number in range(40)) > 24


def test_requests_that_are_too_long_for_a_server_do_not_make_it_down():
    async def reply(number):
        await asyncio.sleep(60 if number < 3 else 0)
        return number

    found, client = alone(reply, 8, concurrency=1, limit_s=0.1)
    assert [found[number] for number in range(3, 8)] == [3, 4, 5, 6, 7]
    assert all("no reply in 4 attempts; the last: no reply within 0.1 s" in str(found[at]) for at in range(3))
    assert not client.is_gone


def test_connections_that_break_together_are_no_dead_server():
    """As where what is in front of a server is started anew: all that are under way end at once."""
    broken = []

    async def reply(number):
        await asyncio.sleep(0)
        if len(broken) < 64:
            broken.append(number)
            raise PassingFaultError("connection reset", replied=False)
        return number

    found, client = alone(reply, 100, concurrency=64, limit_s=30)
    assert found == {number: number for number in range(100)}
    assert not client.is_gone


def test_a_pool_whose_servers_hang_for_one_time_limit_goes_on():
    """As where both load the model at the first request."""
    begun_s = time.monotonic()

    async def sent_to(_client, sent):
        await asyncio.sleep(max(0.0, begun_s + 0.6 - time.monotonic()))
        return sent["number"]

    jobs = [Job(body={"number": at}, send=sent_to, read=lambda found, _: found) for at in range(40)]
    clients = [ServerClient(f"http://{name}/v1", None, timeout_s=0.5, attempts=3) for name in ("a", "b")]
    found = {}
    ServerPool(clients, 8).ask_all(jobs, found.__setitem__)
    assert found == {number: number for number in range(40)}


@pytest.mark.parametrize("fault", ["hung", "not there"])
def test_a_server_that_was_down_is_asked_again_in_the_next_round(fault):
    """It was started anew after the first look; while it is not there, a round costs one short question."""
    is_up, bodies = [False], []

    async def sent_to(_client, sent):
        bodies.append(sent)
        if not is_up[0]:
            if fault == "hung":
                await asyncio.sleep(60)
            raise PassingFaultError("connection failed", replied=False)
        return sent.get("messages") and "good"

    body = {"model": "m", "messages": [{"role": "user", "content": "long " * 20}]}
    jobs = [Job(body=dict(body), send=sent_to, read=lambda found, _: found) for _ in range(8)]
    client = ServerClient("http://one/v1", None, timeout_s=0.2, attempts=6, first_wait_s=0.01)
    pool = ServerPool([client], 8)

    def ask():
        found, before = {}, len(bodies)
        pool.ask_all(jobs, found.__setitem__)
        return [found[at] for at in range(8)], bodies[before:]

    found, _ = ask()
    assert all(isinstance(error, ServerError) and error.is_unreachable for error in found)
    found, asked = ask()
    assert all(isinstance(error, ServerError) and error.is_unreachable for error in found)
    assert [each["max_tokens"] for each in asked] == [1]
    is_up[0] = True
    found, asked = ask()
    assert found == ["good"] * 8
    assert len(asked) == 1 + 8


def test_a_second_wait_to_the_time_limit_counts_twice():
    class Server:
        answered = 0

    fault = PassingFaultError("no reply", replied=False, timed_out=True)
    patience = Patience(Server())
    assert [patience.count(fault) for _ in range(4)] == [1, 3, 5, 7]


def test_a_server_that_was_down_is_asked_again_at_the_next_look(monkeypatch):
    """Started anew, it answers; still down, it is waited for half as long as at first."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    silence, bodies = Silence(), [{} for _ in range(4)]

    def after(seconds):
        silence.begin()
        now[0] += seconds
        for body in bodies:
            silence.count(body, 10.0)
        return silence.is_long, silence.is_over

    assert [after(9), after(2), after(9)] == [(False, False), (True, False), (True, True)]
    silence.try_again()
    # Others of a pool are still asked first, until something comes.
    assert (silence.is_long, silence.is_over) == (True, False)
    assert [after(9), after(1)] == [(True, False), (True, True)]
    silence.try_again()
    silence.begin()
    silence.end()
    assert [after(19), after(1)] == [(True, False), (True, True)]


def test_what_a_server_did_not_answer_at_one_look_it_answers_at_the_next():
    is_there = []

    async def sent_to(_client, sent):
        if not is_there:
            raise PassingFaultError("connection refused", replied=False)
        return sent["number"]

    client = ServerClient("http://one/v1", None, attempts=4, first_wait_s=0.01)
    pool = ServerPool([client], 8)
    jobs = [Job(body={"number": at}, send=sent_to, read=lambda found, _: found) for at in range(20)]
    first, second = {}, {}
    pool.ask_all(jobs, first.__setitem__)
    assert all(isinstance(error, ServerError) for error in first.values())
    is_there.append(True)
    pool.ask_all(jobs, second.__setitem__)
    assert second == {number: number for number in range(20)}
