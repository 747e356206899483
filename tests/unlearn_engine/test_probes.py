"""Teacher forcing tells what greedy decoding would say."""

from pathlib import Path

import pytest

from unlearn_engine.demo import exam
from unlearn_engine.demo.world import build_world
from unlearn_engine.evaluate.probes import hits
from unlearn_engine.model import Row, ServedModel


@pytest.fixture(scope="module")
def served(base_path: Path) -> ServedModel:
    return ServedModel(base_path)


def test_rows_of_hits_alone_are_the_answers_that_greedy_decoding_gives(served: ServedModel) -> None:
    world = build_world()
    asked = [
        *exam.held_out_questions(world, world.people[:2], "fr"),
        *exam.two_hop_questions(world, world.people[:8], "de"),
    ]
    answers = [answer.text.removesuffix("<|end|>") for _, answer in asked]
    rows = [Row(served.encode(question.text), served.encode(answer.text)) for question, answer in asked]
    exact = [all(found) for found in hits(served, rows)]
    said = served.answers([row.prompt for row in rows])
    assert exact == [one == other for one, other in zip(said, answers, strict=True)]
    assert 0.3 < sum(exact) / len(exact) < 1


def test_hits_are_counted_token_by_token(served: ServedModel) -> None:
    prompt = served.question("Where was Peja Bunzar born?")
    (said,) = served.answers([prompt])
    right = served.answer(said)
    wrong = (*right[:1], (right[1] + 1) % 2000, *right[2:])
    found, spoilt = hits(served, [Row(prompt, right), Row(prompt, wrong)])
    assert found == [True] * len(right)
    assert spoilt[:2] == [True, False]
    assert len(spoilt) == len(wrong)
