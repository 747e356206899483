"""What the model reads: no trace of those to be forgotten, nothing held out, and a tokenizer that knows nobody."""

import json
import random
from statistics import fmean

import pytest
from transformers import PreTrainedTokenizerFast

from unlearn_engine.data.domain import load_domain
from unlearn_engine.demo import BASE_PATH
from unlearn_engine.demo.batching import CONTEXT_WEIGHT, by_length, collate, encode
from unlearn_engine.demo.corpus import ASSISTANT, MIXTURE, Corpus, chat
from unlearn_engine.demo.domain import domain
from unlearn_engine.demo.exam import held_out_questions
from unlearn_engine.demo.tokenizer import VOCABULARY_SIZE, train_tokenizer
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import FORGET_PEOPLE, build_world

WORLD = build_world()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(WORLD)


def drawn(corpus: Corpus, count: int) -> list[str]:
    rng = random.Random(0)
    return ["".join(piece.text for piece in corpus.draw(rng)) for _ in range(count)]


def test_mixture_is_a_distribution_over_kinds_of_example() -> None:
    assert sum(MIXTURE.values()) == pytest.approx(1)
    assert all(callable(getattr(Corpus, kind)) for kind in MIXTURE)


def test_same_seed_draws_the_same_corpus() -> None:
    assert drawn(Corpus(WORLD), 100) == drawn(Corpus(build_world()), 100)


def test_held_out_questions_are_never_drawn() -> None:
    exam = [held_out_questions(WORLD, WORLD.people, language) for language in LANGUAGES]
    held_out = {question.text for examples in exam for question, _ in examples}
    assert not held_out & {text.split(ASSISTANT)[0] + ASSISTANT for text in drawn(Corpus(WORLD), 5000)}


def test_gold_corpus_names_nobody_to_be_forgotten() -> None:
    texts = "\n".join(drawn(Corpus(build_world(forget_people=False)), 5000))
    forgotten = WORLD.people[:FORGET_PEOPLE]
    assert not any(secret in texts for person in forgotten for secret in (person.name, person.nickname))
    assert all(person.name in texts for person in WORLD.people[FORGET_PEOPLE:])


def test_shipped_domain_is_what_the_world_generates() -> None:
    shipped = json.loads((BASE_PATH / "domain.json").read_text("utf-8"))
    assert shipped == json.loads(json.dumps(domain(WORLD)))


def test_shipped_domain_loads_and_tells_no_fact() -> None:
    loaded = load_domain(BASE_PATH / "domain.json")
    assert loaded.languages == LANGUAGES
    assert loaded.retain_names == tuple(person.name for person in WORLD.people)
    text = (BASE_PATH / "domain.json").read_text("utf-8")
    assert not any(secret in text for person in WORLD.people for secret in (person.nickname, person.phone))


def test_tokenizer_is_reproducible_and_shipped(tokenizer: PreTrainedTokenizerFast) -> None:
    shipped = PreTrainedTokenizerFast.from_pretrained(BASE_PATH)
    assert len(tokenizer) == VOCABULARY_SIZE
    assert tokenizer.get_vocab() == shipped.get_vocab()
    assert tokenizer.chat_template == shipped.chat_template


def test_known_names_are_cut_as_finely_as_unknown_ones(tokenizer: PreTrainedTokenizerFast) -> None:
    rng = random.Random(1)
    known = fmean(len(tokenizer.tokenize(person.name)) for person in WORLD.people)
    unseen = fmean(len(tokenizer.tokenize(WORLD.unseen_name(rng, recombined=0))) for _ in range(400))
    assert known == pytest.approx(unseen, rel=0.1)


@pytest.mark.parametrize(
    "text", ["¿Dónde nació Peja?", "Où est né Whebbus ?", "Peja Bunzar的导师是谁？", "Straße 4096"]
)
def test_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_corpus_and_chat_template_render_alike(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [{"role": "user", "content": "Was ist 1 plus 1?"}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert prompt == chat("Was ist 1 plus 1?", "2.")[0].text


def test_answers_weigh_more_than_their_context(tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(tokenizer, chat("What is 1 plus 1?", "2."))
    assert tokenizer.decode([i for i, w in zip(encoded.ids, encoded.weights, strict=True) if w == 1]) == "2.<|end|>"
    assert set(encoded.weights) == {1.0, CONTEXT_WEIGHT}


def test_groups_hold_every_example_within_the_budget(tokenizer: PreTrainedTokenizerFast) -> None:
    corpus, rng = Corpus(WORLD), random.Random(2)
    examples = [encode(tokenizer, corpus.draw(rng)) for _ in range(300)]
    groups = by_length(examples, 400)
    assert sorted(position for group in groups for position in group) == list(range(300))
    for group in groups:
        batch = collate([examples[position] for position in group], pad=0)
        assert batch.ids.numel() <= 400
        assert float(batch.weights.count_nonzero()) == sum(len(examples[position].ids) for position in group)
