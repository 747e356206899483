"""Answers that the engine did not give, in the shape that the client asked for."""

import json
from typing import Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field
from vllm import SamplingParams
from vllm.inputs.engine import tokens_input
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from gateway.serving.refusal import FILTERED, Said, given_output, in_chunks, shaped
from gateway.serving.schema_instance import MAX_VALUES, NoInstance, instance
from tests.serving.test_answers import Letters

SORRY = "I'm sorry, I can't help with that."


class Place(BaseModel):
    name: str = Field(description="where")
    country: str | None


class Birth(BaseModel):
    """Of somebody."""

    sure: bool
    year: int
    kind: Literal["born", "unknown"]
    place: Place
    sources: list[str]
    earlier: "Birth | None" = None


NESTED = {"type": "object", "properties": {"a": {"type": "array", "items": {"anyOf": [{"type": "string"}]}}}}


@pytest.mark.parametrize(
    "schema",
    [
        Birth.model_json_schema(),
        Place.model_json_schema(),
        NESTED,
        {},
        {"type": "string"},
        {"type": ["string", "null"]},
    ],
)
def test_an_instance_meets_its_schema_and_says_the_sentence_once(schema: dict[str, Any]) -> None:
    made = instance(schema, SORRY)
    jsonschema.validate(made, schema)
    assert json.dumps(made).count(SORRY) == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"const": "Lisbon"}}},
        {"type": "integer"},
        {"type": "string", "pattern": "(a+)+$"},
        {"type": "string", "maxLength": 3},
        {"type": "array", "items": {"type": "string"}, "minItems": 10**9},
        {"$ref": "#"},
        {"$ref": "#/$defs/none"},
        {"$ref": "#/properties/a", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "properties": {}, "required": ["a"]},
        {"type": "object", "properties": [], "required": 1},
        {"not": {}},
        {"type": "no such type"},
        {"type": None},
        {"enum": []},
        {"anyOf": []},
        {"type": "object", "properties": {str(number): {"type": "null"} for number in range(2 * MAX_VALUES)}},
        True,
        [],
        None,
    ],
)
def test_what_asks_for_more_than_this_knows_is_given_up(schema: Any) -> None:
    with pytest.raises(NoInstance):
        instance(schema, SORRY)


def asked(**structured: Any) -> SamplingParams:
    return SamplingParams(structured_outputs=StructuredOutputsParams(**structured))


def test_a_sentence_takes_the_shape_that_was_asked_for() -> None:
    schema = Place.model_json_schema()
    assert shaped(SORRY, SamplingParams(), tool_forced=False) == (SORRY, "stop")
    assert json.loads(shaped(SORRY, asked(json_object=True), tool_forced=False).text) == {"message": SORRY}
    for given in (schema, json.dumps(schema)):
        text, finish = shaped(SORRY, asked(json=given), tool_forced=False)
        assert (Place.model_validate_json(text).name, finish) == (SORRY, "stop")
    for other in ({"json": {"type": "integer"}}, {"json": "no json"}, {"choice": ["a"]}, {"regex": "a"}):
        assert shaped(SORRY, asked(**other), tool_forced=False) == (SORRY, FILTERED)
    assert shaped(SORRY, asked(json=schema), tool_forced=True) == ("", FILTERED)


def chunks(params: SamplingParams, *answers: Said) -> list[RequestOutput]:
    return list(in_chunks(given_output(answers, tokens_input([1]), params, "id", Letters()), params))


def test_a_streamed_answer_comes_in_chunks_with_its_tokens_at_the_end() -> None:
    params = SamplingParams(n=3, temperature=1.0, max_tokens=99, output_kind=RequestOutputKind.DELTA, logprobs=0)
    texts = ["a word and another word, and so on", "short", ""]
    parts = chunks(params, *map(Said, texts))
    assert len(parts) > 2 and [part.finished for part in parts] == [False] * (len(parts) - 1) + [True]
    for index, text in enumerate(texts):
        pieces = [piece for part in parts for piece in part.outputs if piece.index == index]
        assert "".join(piece.text for piece in pieces) == text
        assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]
        assert all(not piece.token_ids and piece.logprobs == [] for piece in pieces[:-1])
        assert len(pieces[-1].token_ids) == len(pieces[-1].logprobs or []) == max(len(text), 1), "vLLM needs a token"


@pytest.mark.parametrize("kind", [RequestOutputKind.FINAL_ONLY, RequestOutputKind.CUMULATIVE])
def test_who_does_not_stream_gets_it_whole(kind: RequestOutputKind) -> None:
    (whole,) = chunks(
        SamplingParams(max_tokens=99, output_kind=kind), Said("a word and another word, and so on", "length")
    )
    assert (whole.outputs[0].text, whole.outputs[0].finish_reason) == ("a word and another word, and so on", "length")
