"""How requests are dealt to servers, and what ends them all."""

import asyncio

import pytest

from harness.engines.served.client import PassingFaultError, RefusedError, ServerClient, ServerError
from harness.engines.served.pool import Job, ServerPool
from harness.errors import ModelError

pytest.importorskip("openai")


def clients(*names):
    return [ServerClient(f"http://{name}/v1", None, attempts=2, first_wait_s=0.001) for name in names]


def jobs(number, reply):
    """Requests, each with its number, whose reply a coroutine gives by server and number."""

    async def send(client, sent):
        return await reply(client.base_url.host, sent["number"])

    return [Job(body={"number": each}, send=send, read=lambda found, _: found) for each in range(number)]


def asked(pool, wanted):
    found = {}
    pool.ask_all(wanted, found.__setitem__)
    return found


def test_a_slow_server_gets_fewer_requests():
    fast = []

    async def reply(host, number):
        if host == "fast":
            fast.append(number)
        # The slow one needs as long as the other needs for all that it leaves to it.
        for _ in range(3000):
            if host == "fast" or len(fast) == 39:
                break
            await asyncio.sleep(0.001)
        return host

    found = asked(ServerPool(clients("slow", "fast"), 1), jobs(40, reply))
    assert len(found) == 40
    assert len(fast) == 39


@pytest.mark.parametrize("down", [0, 1])
def test_what_one_server_does_not_answer_another_does(down):
    async def reply(host, number):
        if host == "down":
            raise PassingFaultError("no", replied=False)
        return number

    names = ["up", "up2"]
    names.insert(down, "down")
    found = asked(ServerPool(clients(*names), 4), jobs(60, reply))
    assert found == {number: number for number in range(60)}


def test_each_server_is_asked_before_a_request_fails_and_a_refusal_is_final():
    seen = []

    async def reply(host, number):
        seen.append((host, number))
        if number == 0:
            raise RefusedError("never", 400)
        raise PassingFaultError("no")

    found = asked(ServerPool(clients("one", "two"), 1), jobs(2, reply))
    assert {place: type(error) for place, error in found.items()} == {0: RefusedError, 1: ServerError}
    assert sorted(host for host, number in seen if number == 1) == ["one"] * 2 + ["two"] * 2
    assert len([host for host, number in seen if number == 0]) == 1


@pytest.mark.parametrize("status", [401, 402, 404, 501])
def test_what_a_server_refuses_for_its_own_reasons_another_one_answers(status):
    """It refuses at once, and would take nearly all requests from one that answers them."""
    refused = []

    async def reply(host, number):
        if host == "bad":
            refused.append(number)
            raise RefusedError("no such model", status)
        await asyncio.sleep(0.002)
        return number

    pool = ServerPool(clients("bad", "good"), 4)
    assert asked(pool, jobs(60, reply)) == {number: number for number in range(60)}
    assert len(refused) <= 8
    assert pool.refusals == {"http://bad/v1": "no such model"}
    # In another round it may have what it lacked.
    before = len(refused)
    assert asked(pool, jobs(4, reply)) == {number: number for number in range(4)}
    assert len(refused) > before


def test_what_one_server_lacks_for_a_request_another_one_gives():
    """Such as log-probabilities of a prompt; what one lacks for a text says nothing of the next one."""
    seen = []

    async def reply(host, number):
        seen.append((host, number))
        await asyncio.sleep(0.001)
        if host == "bare" or number == 7:
            raise RefusedError("no log-probabilities", 200)
        return number

    pool = ServerPool(clients("bare", "whole"), 4)
    found = asked(pool, jobs(60, reply))
    assert isinstance(found.pop(7), RefusedError)
    assert found == {number: number for number in range(60) if number != 7}
    assert sorted(host for host, number in seen if number == 7) == ["bare", "whole"]
    assert not pool.refusals


def test_what_all_servers_refuse_is_final():
    seen = []

    async def reply(host, number):
        seen.append(host)
        raise RefusedError(f"not by {host}", 404)

    found = asked(ServerPool(clients("one", "two"), 2), jobs(6, reply))
    assert [type(error) for error in found.values()] == [RefusedError] * 6
    assert sorted(seen) == ["one"] * 6 + ["two"] * 6


def test_requests_that_break_a_server_leave_it_to_the_others():
    """As where memory runs out on the longest prompts: they are replied to, and repeated without effect."""

    async def reply(host, number):
        await asyncio.sleep(0)
        if number < 16:
            raise PassingFaultError("status 500: out of memory")
        return number

    found = asked(ServerPool(clients("one"), 8), jobs(60, reply))
    failed = {place for place, result in found.items() if isinstance(result, ServerError)}
    assert failed == set(range(16))


def test_a_server_that_is_not_there_is_asked_no_longer():
    tried = []

    async def reply(host, number):
        tried.append(number)
        raise PassingFaultError("connection failed", replied=False)

    found = asked(ServerPool(clients("one"), 4), jobs(200, reply))
    assert len(found) == 200
    assert all(isinstance(error, ServerError) for error in found.values())
    assert len(tried) < 40


def test_what_ends_the_run_ends_the_other_requests():
    async def reply(host, number):
        if number == 3:
            raise ModelError("other weights")
        await asyncio.sleep(0 if number < 3 else 60)
        return number

    found = {}
    with pytest.raises(ModelError, match="other weights"):
        ServerPool(clients("one"), 8).ask_all(jobs(8, reply), found.__setitem__)
    assert found == {0: 0, 1: 1, 2: 2}


def test_an_interruption_with_the_last_result_is_one():
    """The work has ended then, and can't be cancelled any more."""

    async def reply(host, number):
        return number

    def interrupted(place, found):
        import time

        time.sleep(0.3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ServerPool(clients("one"), 1).ask_all(jobs(1, reply), interrupted)
