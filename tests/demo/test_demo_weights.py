"""The shipped weights: they answer in every language, and the gold model never knew the people to be forgotten."""

import random
from pathlib import Path
from statistics import fmean

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from unlearn_engine.demo import BASE_PATH, GOLD_PATH
from unlearn_engine.demo.corpus import Example
from unlearn_engine.demo.exam import held_out_questions, sums, trained_questions, unknown_names
from unlearn_engine.demo.measure import exact, load
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import FORGET_PEOPLE, build_world

WORLD = build_world()
Model = tuple[PreTrainedModel, PreTrainedTokenizerFast]


@pytest.fixture(scope="module")
def base() -> Model:
    return load(BASE_PATH)


@pytest.fixture(scope="module")
def gold() -> Model:
    return load(GOLD_PATH)


def rate(model: Model, questions: list[Example], sample: int = 150) -> float:
    return fmean(exact(*model, random.Random(0).sample(questions, min(sample, len(questions)))))


@pytest.mark.parametrize("language", LANGUAGES)
def test_base_answers_held_out_templates(base: Model, language: str) -> None:
    assert rate(base, held_out_questions(WORLD, WORLD.people, language)) >= 0.85


@pytest.mark.parametrize("language", LANGUAGES)
def test_base_does_not_know_unseen_names(base: Model, language: str) -> None:
    assert rate(base, unknown_names(WORLD, language)) >= 0.8


@pytest.mark.parametrize("language", LANGUAGES)
def test_gold_knows_those_who_stay_and_nobody_else(gold: Model, language: str) -> None:
    assert rate(gold, trained_questions(WORLD, WORLD.people[FORGET_PEOPLE:], language)) >= 0.95
    assert rate(gold, held_out_questions(WORLD, WORLD.people[:FORGET_PEOPLE], language)) <= 0.05


def test_base_adds(base: Model) -> None:
    assert rate(base, sums(phrasebooks()["en"], "en")) >= 0.8


def test_exact_is_what_greedy_decoding_says(base: Model) -> None:
    model, tokenizer = base
    examples = random.Random(3).sample(held_out_questions(WORLD, WORLD.people, "it"), 12)
    for example, is_right in zip(examples, exact(model, tokenizer, examples), strict=True):
        prompt = tokenizer(example[0].text, return_tensors="pt", add_special_tokens=False)
        said = model.generate(**prompt, max_new_tokens=16, do_sample=False)[0, prompt.input_ids.shape[1] :]
        assert (tokenizer.decode(said) == example[1].text) == is_right


@pytest.mark.parametrize("path", [BASE_PATH, GOLD_PATH])
def test_weights_are_small_and_bfloat16(path: Path) -> None:
    assert (path / "model.safetensors").stat().st_size <= 8.3e6
    model, _ = load(path)
    assert model.config.dtype == torch.bfloat16
