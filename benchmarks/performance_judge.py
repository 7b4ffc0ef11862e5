"""How well a gate keeps a judge busy; the part ``judge`` of ``performance.py``.

The judge is a stand-in in a process of its own, which says pass after 50 ms, or what ragas asks for. Measured
is the time between the first question's arrival there and its last reply, beside the number of questions
times 50 ms, over 8. The model under test takes a while before its first answer, as models do. What judging
needs is imported meanwhile, and that is not in the measured time. The session as a whole is told too, and how
well a bare client without any work of its own keeps the stand-in busy.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.performance_ways import GATED, Amount, FailedRun, Step, run
from benchmarks.synthetic import FIRST, write_synthetic

JUDGE_S, JUDGED, AT_A_TIME = 0.05, 100, 8
# Longer than it takes to import openai's client, ragas and sentence-transformers on a slow core.
ANSWERS_AFTER_S = 20.0
RAG = ("faithfulness", "context-recall", "context-precision", "answer-relevancy")
ROOT = Path(__file__).parents[1]


def judging(amount: Amount, rows: Mapping[str, Any]) -> list[Step]:
    """A gate whose judge takes 50 ms, 8 questions at a time: from the first question to the last reply.

    Args:
        amount: Not needed.
        rows: Not needed.
    """
    del amount, rows
    checks = {
        "rubric": '{"type": "llm-rubric", "value": "The number is named."}',
        "passages": ", ".join(f'{{"type": "{name}"}}' for name in RAG),
    }

    def measured(name: str) -> Iterator[tuple[str, dict[str, float]]]:
        found: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as folder:
            write_synthetic(Path(folder), JUDGED, checks[name], ANSWERS_AFTER_S)
            with _stand_in(found) as address:
                line = (
                    *FIRST,
                    f"--gate-judge=openai:judge@{address}",
                    f"--gate-judge-concurrency={AT_A_TIME}",
                )
                taken = run([sys.executable, *line], Path(folder), statuses=GATED)
        if not found.get("asked"):
            raise FailedRun("the judge was never asked")
        bare: dict[str, float] = {}
        with _stand_in(bare) as address:
            asyncio.run(_ask_bare(address, int(found["asked"])))
        own = {"cpu_s": taken.cpu_s, "session_s": taken.wall_s - ANSWERS_AFTER_S}
        yield name, {**found, **own, "bare_share": bare["share"]}

    return [Step(rows=[name], run=partial(measured, name)) for name in checks]


@contextmanager
def _stand_in(found: dict[str, float]) -> Iterator[str]:
    """The judge's address; what it saw is in ``found`` afterwards."""
    line = [sys.executable, "-m", "benchmarks.performance_judge"]
    with subprocess.Popen(
        line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.stdin.close()
            found.update(json.loads(process.stdout.read() or "{}"))


async def _ask_bare(address: str, questions: int) -> None:
    """Ask by sockets alone, 8 at a time."""
    port = int(address.rpartition(":")[2].partition("/")[0])
    body = json.dumps({"model": "judge", "messages": [{"role": "user", "content": "x" * 1500}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    left = iter(range(questions))

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(head.encode() + body)
            await _read_message(reader)
        writer.close()

    await asyncio.gather(*(ask() for _ in range(AT_A_TIME)))


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """The body of a request or reply."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    return await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))


def _verdict(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What fits the schema that the question names."""
    schema = asked.get("response_format", {}).get("json_schema", {}).get("schema", {})
    statement = {"statement": "It is a number.", "reason": "read"}
    known: dict[str, dict[str, Any]] = {
        "StatementGeneratorOutput": {"statements": [statement["statement"]]},
        "NLIStatementOutput": {"statements": [{**statement, "verdict": 1}]},
        "ContextRecallOutput": {"classifications": [{**statement, "attributed": 1}]},
        "ContextPrecisionOutput": {"reason": "read", "verdict": 1},
        "AnswerRelevanceOutput": {"question": "What comes next?", "noncommittal": 0},
    }
    said: dict[str, Any] = {"reason": "as asked", "verdict": "pass", "pass": True}
    return known.get(schema.get("title", ""), said)


async def _serve() -> None:
    """Answer until nobody holds the other end of stdin, then print what was seen."""
    times: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                body = await _read_message(reader)
                times.append(time.perf_counter())
                asked = json.loads(body)
                await asyncio.sleep(JUDGE_S)
                writer.write(_reply(asked))
                times.append(time.perf_counter())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    asked = len(times) // 2
    if asked:
        ideal_s, judging_s = asked * JUDGE_S / AT_A_TIME, max(times) - min(times)
        shares = {"ideal_s": ideal_s, "judging_s": judging_s, "share": ideal_s / judging_s}
        print(json.dumps({**shares, "asked": asked, "stand_in_cpu_s": time.process_time()}))


def _reply(asked: Mapping[str, Any]) -> bytes:
    """A whole HTTP response."""
    message = {"role": "assistant", "content": json.dumps(_verdict(asked))}
    body = json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "judge",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


if __name__ == "__main__":
    asyncio.run(_serve())
