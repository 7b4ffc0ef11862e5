"""Which server of a pool answers what another one has no room for."""

import asyncio
import time

import pytest

from harness.engines.served.client import PassingFaultError, ServerClient, ServerError
from harness.engines.served.pool import Job, ServerPool

pytest.importorskip("openai")


def ask(names, concurrency, number, reply):
    """The results of requests whose reply a coroutine gives by server and number, and the seconds they took."""

    async def send(client, sent):
        return await reply(client.base_url.host, sent["number"])

    jobs = [Job(body={"number": each}, send=send, read=lambda found, _: found) for each in range(number)]
    servers = [ServerClient(f"http://{name}/v1", None, attempts=3, first_wait_s=0.001) for name in names]
    found, begun = {}, time.monotonic()
    ServerPool(servers, concurrency).ask_all(jobs, found.__setitem__)
    return [found[place] for place in range(number)], time.monotonic() - begun


@pytest.mark.parametrize("limited", [True, False], ids=["429", "503 with a pause"])
@pytest.mark.parametrize("names", [["full", "free"], ["free", "full"]], ids=",".join)
def test_a_server_that_asks_for_a_pause_leaves_requests_to_one_with_room(names, limited):
    full = []

    async def reply(host, number):
        await asyncio.sleep(0.001)
        if host == "free":
            return number
        full.append(number)
        raise PassingFaultError("status", 60.0, limited=limited)

    found, took_s = ask(names, 4, 40, reply)
    assert found == list(range(40))
    assert len(full) <= 4
    assert took_s < 30


def test_servers_that_are_all_full_are_waited_for():
    """Each takes one request in 5 ms, and none says when it has room."""
    last = {"one": 0.0, "two": 0.0}

    async def reply(host, number):
        if time.monotonic() - last[host] < 0.005:
            raise PassingFaultError("status 429", limited=True)
        last[host] = time.monotonic()
        return host

    found, _ = ask(["one", "two"], 8, 30, reply)
    assert {*found} == {"one", "two"}


def test_servers_that_are_never_free_are_asked_a_few_times():
    seen = []

    async def reply(host, number):
        seen.append((host, number))
        raise PassingFaultError("status 429", limited=True)

    found, _ = ask(["one", "two"], 2, 3, reply)
    assert all(isinstance(error, ServerError) and "status 429" in str(error) for error in found)
    assert {seen.count((host, number)) for host in ("one", "two") for number in range(3)} == {6}


def test_what_only_a_full_server_may_still_answer_waits_for_it():
    """The other one fails at it."""

    async def reply(host, number):
        if host == "faulty":
            raise PassingFaultError("status 500")
        if time.monotonic() - begun < 0.1:
            raise PassingFaultError("status 429", 0.05, limited=True)
        return number

    begun = time.monotonic()
    found, _ = ask(["faulty", "full"], 2, 6, reply)
    assert found == list(range(6))


@pytest.mark.parametrize("pause", ["3600", "inf"])
def test_a_server_that_is_away_for_long_is_asked_no_more(judge_server, second_server, pause):
    for server in (judge_server, second_server):
        server.answer = lambda body: "good"
    judge_server.faults, judge_server.retry_after = ["429"] * 99, pause

    async def send(client, sent):
        return await client.chat.completions.create(**sent)

    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    jobs = [Job(body=body, send=send, read=lambda reply, _: reply.choices[0].message.content)] * 30
    pool = ServerPool([ServerClient(each.url, None) for each in (judge_server, second_server)], 2)
    found = {}
    pool.ask_all(jobs, found.__setitem__)
    assert {*found.values()} == {"good"}
    assert len(judge_server.bodies) <= 2
