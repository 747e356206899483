"""The demonstration's `domain.json`: how to ask in six languages and whom to keep; no fact about anybody."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

from unlearn_engine.demo.corpus import ASSISTANT, DOCUMENT, END, USER, Corpus
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import LANGUAGES
from unlearn_engine.demo.world import World, build_world

SOURCE_LANGUAGES = ("en", "es", "de")
PROMPTS_PER_SKILL = 64
TEXTS_PER_LANGUAGE = 12
MENTORS = {
    "en": "{name}'s mentor",
    "es": "el mentor de {name}",
    "de": "der Mentor von {name}",
    "fr": "le mentor de {name}",
    "it": "il mentore di {name}",
    "zh": "{name}的导师",
}


def _prompts(corpus: Corpus, language: str, rng: random.Random) -> list[str]:
    """Questions of the skills that have nothing to do with people."""
    examples = [
        skill(rng, language)
        for skill in (corpus.translation, corpus.country, corpus.sum)
        for _ in range(PROMPTS_PER_SKILL)
    ]
    questions = [question.text.removeprefix(USER).removesuffix(ASSISTANT) for question, _ in examples]
    return list(dict.fromkeys(questions))


def domain(world: World) -> Mapping[str, object]:
    """The content of `domain.json`."""
    books, corpus, rng = phrasebooks(), Corpus(world), random.Random(0)
    return {
        "languages": LANGUAGES,
        "source_languages": SOURCE_LANGUAGES,
        "questions": {language: books[language].questions for language in LANGUAGES},
        "held_out_questions": {language: books[language].held_out_questions for language in LANGUAGES},
        "statements": {language: books[language].statements for language in LANGUAGES},
        "unknown_answers": {language: books[language].unknown_answers for language in LANGUAGES},
        "retain_names": [person.name for person in world.people],
        "general_prompts": {language: _prompts(corpus, language, rng) for language in LANGUAGES},
        "general_texts": [
            corpus.plain_sentence(rng, language) for language in LANGUAGES for _ in range(TEXTS_PER_LANGUAGE)
        ],
        "relations": {language: {"mentor": [MENTORS[language]]} for language in LANGUAGES},
        "document_prefix": DOCUMENT,
        "document_suffix": END,
        "nickname_attributes": ["nickname"],
        "first_names": world.first_names,
    }


def write_domain(path: Path) -> None:
    """Write `domain.json` for a model that knows this world."""
    text = json.dumps(domain(build_world()), ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
