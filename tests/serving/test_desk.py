"""Prompts that wait at the same moment are read together, each for itself where something is found or goes wrong."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.guards.policy import Policy, Target, compile_policy
from gateway.guards.tokens import TokenTable
from gateway.serving.desk import LONG_PROMPT_TOKENS, MOST_TOGETHER, Desk
from gateway.serving.plan import Planner, Reading, Request

POLICY = compile_policy(1, {"a": Target("a", ("Rabo Kelrin",))})
OTHERS = compile_policy(2, {"b": Target("b", ("Otto Kralik",))})
BYTES = [bytes([byte]) for byte in range(256)]


class Encoder:
    """A tokenizer of bytes, as far as a planner asks for one."""

    chat_template = None

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return list(text.encode())


def asked(text: str, number: int = 0) -> Request:
    prompt: Any = {"prompt_token_ids": list(text.encode())}
    return Request(prompt, None, f"r{number}", {})


class Counted:
    """A planner whose readings are counted."""

    def __init__(self) -> None:
        self.planner = Planner(TokenTable(BYTES), Encoder(), 4096, None, hops=False)
        self.sizes: list[int] = []
        self.fail = ""

    def read(self, requests: Sequence[Request], policy: Policy) -> list[Reading]:
        self.sizes.append(len(requests))
        if self.fail and any(self.fail in self.planner.text(request) for request in requests):
            raise RuntimeError("the reader failed")
        return self.planner.read_all(requests, policy)


async def test_each_gets_what_its_own_prompt_says() -> None:
    counted = Counted()
    desk = Desk(counted.read)
    texts = ["Where is Munich?", "Where was Rabo Kelrin born?", "What is 2 plus 3?", "R a b o K e l r i n", "Hello"]
    readings = await asyncio.gather(*(desk.reading(asked(text), POLICY) for text in texts))
    assert [reading.decoded.text for reading in readings] == texts
    assert [sorted(reading.subjects) for reading in readings] == [[], ["a"], [], ["a"], []]
    assert counted.sizes == [1, len(texts) - 1]


async def test_so_many_at_once_and_no_two_policies() -> None:
    counted = Counted()
    desk = Desk(counted.read)
    asking = [desk.reading(asked("Otto Kralik"), policy) for policy in [POLICY] * (MOST_TOGETHER + 3) + [OTHERS]]
    readings = await asyncio.gather(*asking)
    assert counted.sizes == [1, MOST_TOGETHER, 2, 1]
    assert [sorted(reading.subjects) for reading in readings] == [[]] * (MOST_TOGETHER + 3) + [["b"]]


async def test_a_prompt_that_cannot_be_read_harms_no_other() -> None:
    counted = Counted()
    counted.fail = "boom"
    desk = Desk(counted.read)
    asking = (desk.reading(asked(text), POLICY) for text in ("boom", "Rabo Kelrin", "boom", "Hello"))
    alone, named, failed, honest = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(alone, RuntimeError)
    assert isinstance(named, Reading) and named.subjects == {"a"}
    assert isinstance(failed, RuntimeError)
    assert isinstance(honest, Reading) and not honest.subjects


async def test_whoever_leaves_is_not_read() -> None:
    counted = Counted()
    desk = Desk(counted.read)
    first, staying, leaving = (
        asyncio.create_task(desk.reading(asked(text), POLICY)) for text in ("Hi", "Hello", "Rabo Kelrin")
    )
    await asyncio.sleep(0)
    leaving.cancel()
    assert not (await first).subjects and not (await staying).subjects
    assert counted.sizes == [1, 1]
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_whoever_comes_alone_is_read_at_once() -> None:
    counted = Counted()
    desk = Desk(counted.read)
    for _ in range(3):
        asking = desk.reading(asked("Hello"), POLICY)
        with pytest.raises(StopIteration):
            asking.send(None)
        await asyncio.sleep(0)
    assert counted.sizes == [1, 1, 1]


async def test_others_are_read_while_a_long_prompt_is_and_no_second_long_one() -> None:
    counted = Counted()
    begun, go_on = threading.Semaphore(0), threading.Event()

    def read(requests: Sequence[Request], policy: Policy) -> list[Reading]:
        if threading.current_thread() is not threading.main_thread():
            begun.release()
            assert go_on.wait(10)
        return counted.read(requests, policy)

    desk = Desk(read)
    long = [f"Rabo Kelrin {number}".ljust(LONG_PROMPT_TOKENS, ".") for number in range(3)]
    asking = [asyncio.create_task(desk.reading(asked(text), POLICY)) for text in long]
    assert await asyncio.to_thread(begun.acquire, timeout=10)
    assert (await desk.reading(asked("R a b o K e l r i n"), POLICY)).subjects == {"a"}
    assert not begun.acquire(blocking=False)
    go_on.set()
    readings = await asyncio.gather(*asking)
    assert [reading.decoded.text for reading in readings] == long
    assert all(reading.subjects == {"a"} for reading in readings)
