"""Processes that are asked by a line and answer by one; nobody waits for them without end."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

ANSWER_S = 120.0
END_S = 30.0


@contextmanager
def child(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[str]"]:
    """`python ARGUMENTS`; when the block ends so does its standard input, and it should end by itself."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, *arguments], env=environment, stdin=pipe, stdout=pipe, text=True)
    assert process.stdin and process.stdout
    try:
        yield process
        process.stdin.close()
        process.wait(END_S)
    finally:
        process.kill()
        process.wait(END_S)
        process.stdin.close()
        process.stdout.close()


def told(process: "subprocess.Popen[str]", timeout_s: float = ANSWER_S) -> str:
    """Its next line; a process that says nothing for so long is killed, and the line is empty."""
    assert process.stdout
    impatience = threading.Timer(timeout_s, process.kill)
    impatience.start()
    try:
        return process.stdout.readline().strip()
    finally:
        impatience.cancel()


def ask(process: "subprocess.Popen[str]", line: str) -> str:
    """What it answers to a line."""
    assert process.stdin
    print(line, file=process.stdin, flush=True)
    return told(process)
