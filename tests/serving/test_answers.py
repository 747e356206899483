"""Answers on their way out: text, token ids and log probabilities leave together or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from vllm import SamplingParams
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from gateway.guards.audit import OutputAudit
from gateway.serving.answers import Answers, engine_kind
from gateway.serving.refusal import Said, given_output


class Letters:
    """A tokenizer with one token for each character; a conversation has no padding."""

    eos_token_id, bos_token_id, pad_token_id = 3, None, 4
    all_special_ids = (3, 4)
    added_tokens_decoder: Mapping[int, Any] = {}
    chat_template = None

    @staticmethod
    def convert_ids_to_tokens(index: int) -> str:
        return chr(index)

    @staticmethod
    def encode(text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(char) for char in text]

    @staticmethod
    def decode(ids: list[int]) -> str:
        return "".join(map(chr, ids))


@dataclass
class Told:
    text: str = ""
    ids: str = ""
    logprobs: int = 0
    finish: str | None = None


def params(kind: RequestOutputKind, *, n: int = 1, logprobs: int | None = None) -> SamplingParams:
    return SamplingParams(n=n, temperature=1.0, output_kind=kind, logprobs=logprobs)


def completion(index: int, text: str, finish: str | None, *, logprobs: bool = False) -> CompletionOutput:
    entries = [{ord(char): Logprob(-1.0, 1, char)} for char in text] if logprobs else None
    return CompletionOutput(index, text, [ord(char) for char in text], None, entries, finish_reason=finish)


def output(*completions: CompletionOutput, finished: bool = False) -> RequestOutput:
    return RequestOutput("r", "prompt", [1], None, list(completions), finished)


def run(answers: Answers, chunks: list[str], *, logprobs: bool = False) -> Told:
    """Feed increments of answer 0 and add up what comes out; token ids never run ahead of the text."""
    told = Told()
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        released = answers.pass_on(output(completion(0, chunk, "stop" if last else None, logprobs=logprobs)))
        if released is None:
            continue
        for part in released.outputs:
            told.text += part.text
            told.ids += "".join(map(chr, part.token_ids))
            told.logprobs += len(part.logprobs or [])
            told.finish = part.finish_reason
        assert told.text.startswith(told.ids) or told.finish
        if released.finished:
            break
    return told


def audit(*phrases: str, **rewrites: str) -> OutputAudit:
    return OutputAudit(phrases, rewrites)


@pytest.mark.parametrize("chunks", [["He was born in Lisbon."], list("He was born in Lisbon.")])
def test_a_forbidden_fact_ends_the_answer(chunks: list[str]) -> None:
    answers = Answers(lambda: audit("Lisbon"), params(RequestOutputKind.DELTA, logprobs=1), Letters())
    told = run(answers, chunks, logprobs=True)
    assert told == Told("He was born in ", "He was born in ", len("He was born in "), "stop")
    assert answers.finished and answers.blocked == 1


@pytest.mark.parametrize("chunks", [["Twin lives here."], list("Twin lives here."), ["Tw", "in li", "ves here."]])
def test_a_stand_in_is_written_back_in_text_and_tokens(chunks: list[str]) -> None:
    answers = Answers(lambda: audit(Twin="Name"), params(RequestOutputKind.DELTA, logprobs=1), Letters())
    assert run(answers, chunks, logprobs=True) == Told("Name lives here.", "Name lives here.", 16, "stop")


def test_untouched_answers_pass_as_the_same_objects() -> None:
    answers = Answers(lambda: audit("Lisbon"), params(RequestOutputKind.DELTA), Letters())
    given = output(completion(0, "Fine.", "length"))
    ids = given.outputs[0].token_ids
    released = answers.pass_on(given)
    assert released is given
    assert given.outputs[0].token_ids is ids
    assert given.outputs[0].finish_reason == "length"


def test_one_blocked_answer_does_not_end_the_others() -> None:
    answers = Answers(lambda: audit("Lisbon"), params(RequestOutputKind.DELTA, n=2), Letters())
    first = answers.pass_on(output(completion(0, "Lisbon.", None), completion(1, "Rome", None)))
    assert first is not None and not first.finished
    assert [(part.index, part.text, part.finish_reason) for part in first.outputs] == [
        (0, "", "stop"),
        (1, "Rome", None),
    ]
    last = answers.pass_on(output(completion(0, " More", None), completion(1, ".", "stop")))
    assert last is not None and last.finished
    assert [(part.index, part.text) for part in last.outputs] == [(1, ".")]


@pytest.mark.parametrize("chunks", [["Lisbon."], list("Lisbon.")])
def test_an_answer_of_which_nothing_is_told_has_its_end(chunks: list[str]) -> None:
    """Where there is no token, vLLM streams no finish reason."""
    answers = Answers(lambda: audit("Lisbon"), params(RequestOutputKind.DELTA, logprobs=1), Letters())
    assert run(answers, chunks, logprobs=True) == Told("", chr(Letters.eos_token_id), 1, "stop")


def test_final_only_answers_are_cut_and_their_tokens_with_them() -> None:
    answers = Answers(lambda: audit("Lisbon"), params(RequestOutputKind.FINAL_ONLY), Letters())
    released = answers.pass_on(output(completion(0, "In Lisbon, yes.", "length"), finished=True))
    assert released is not None and released.finished
    assert (released.outputs[0].text, bytes(released.outputs[0].token_ids)) == ("In ", b"In ")
    assert released.outputs[0].finish_reason == "stop"


def test_cumulative_answers_grow() -> None:
    asked = params(RequestOutputKind.CUMULATIVE, logprobs=1)
    assert engine_kind(asked) is RequestOutputKind.DELTA
    answers = Answers(lambda: audit(Twin="Name"), asked, Letters())
    seen = []
    for chunk, finish in (("It is Tw", None), ("in", None), (".", "stop")):
        if (released := answers.pass_on(output(completion(0, chunk, finish, logprobs=True)))) is not None:
            seen.append((released.outputs[0].text, len(released.outputs[0].token_ids)))
    assert seen[-1] == ("It is Name.", 11)
    assert all(later.startswith(earlier) for (earlier, _), (later, _) in pairwise(seen))


@pytest.mark.parametrize("chunks", [["It is Peja Bun\4"], list("It is Peja Bun\4")])
@pytest.mark.parametrize("kind", [RequestOutputKind.DELTA, RequestOutputKind.FINAL_ONLY])
def test_a_name_begun_is_not_told_where_the_guard_ended_it(chunks: list[str], kind: RequestOutputKind) -> None:
    """As vLLM tells it: the ids have the guard's token, the text does not."""
    if kind is RequestOutputKind.FINAL_ONLY:
        chunks = ["".join(chunks)]
    answers = Answers(lambda: audit("Peja Bunzar"), params(kind, logprobs=1), Letters(), Letters.pad_token_id)
    text, ids, logprobs = "", [], 0
    for chunk in chunks:
        over = chunk.endswith("\4")
        given = completion(0, chunk, "stop" if over else None, logprobs=True)
        given.text = chunk.rstrip("\4")
        given.stop_reason = Letters.pad_token_id if over else None
        released = answers.pass_on(output(given, finished=over))
        for part in released.outputs if released else ():
            text, ids, logprobs = text + part.text, [*ids, *part.token_ids], logprobs + len(part.logprobs or [])
            assert part.stop_reason is None
    assert answers.finished and answers.blocked == 1
    assert (text, Letters.decode(ids), logprobs) == ("It is ", "It is ", 6)


def test_a_name_begun_is_not_told_where_the_answer_is_cut_off() -> None:
    for cut, told in (("It is Peja Bun", "It is "), ("It is Peja", "It is Peja"), ("It is a", "It is a")):
        answers = Answers(lambda: audit("Peja Bunzar"), params(RequestOutputKind.FINAL_ONLY), Letters())
        released = answers.pass_on(output(completion(0, cut, "length"), finished=True))
        assert released is not None and answers.blocked == 0
        assert (released.outputs[0].text, released.outputs[0].finish_reason) == (told, "length")


def test_an_answer_that_the_grammar_could_only_fill_with_a_name_ends_before_it() -> None:
    asked = SamplingParams(structured_outputs=StructuredOutputsParams(choice=["Lisbon"]))
    answers = Answers(lambda: audit("Lisbon"), asked, Letters())
    released = answers.pass_on(output(completion(0, "Lisbo", "error")))
    assert released is not None and released.finished
    assert (released.outputs[0].text, released.outputs[0].finish_reason) == ("", "stop")


def test_a_canned_answer_honours_n_stop_max_tokens_and_logprobs() -> None:
    prompt = {"type": "token", "prompt_token_ids": [1, 2]}
    asked = SamplingParams(n=2, temperature=1.0, max_tokens=5, stop=["!"], logprobs=0)
    made = given_output([Said("Sorry! No.")] * 2, prompt, asked, "id", Letters())
    assert made.finished and made.prompt_token_ids == [1, 2]
    assert [(part.index, part.text, part.finish_reason, part.stop_reason) for part in made.outputs] == [
        (0, "Sorry", "stop", "!"),
        (1, "Sorry", "stop", "!"),
    ]
    assert len(made.outputs[0].logprobs or []) == len(made.outputs[0].token_ids) == 5
    shorter = given_output([Said("Sorry")], prompt, SamplingParams(max_tokens=2), "id", Letters()).outputs[0]
    assert (shorter.text, shorter.finish_reason, shorter.logprobs) == ("So", "length", None)
