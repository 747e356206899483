"""How the facts are asked and stated in six languages; every template has one gap, `{name}`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES


@dataclass(frozen=True)
class Phrasebook:
    """One language: templates by attribute, and the questions of the model's other skills."""

    questions: Mapping[str, tuple[str, ...]]
    held_out_questions: Mapping[str, tuple[str, ...]]
    statements: Mapping[str, tuple[str, ...]]
    two_hop: Mapping[str, str]
    noun_phrases: Mapping[str, str]
    unknown_answers: tuple[str, ...]
    translation: str
    country: str
    sum: str
    sentences: tuple[str, ...]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _phrasebook(table: Mapping[str, Any]) -> Phrasebook:
    """Put the noun phrases and clauses of one language into its frames."""
    noun_phrases, accusatives = table["noun_phrases"], table.get("accusatives", {})

    def fill(frame: str, attribute: str) -> str:
        noun_phrase = noun_phrases[attribute]
        what = table["who" if attribute == "mentor" else "what"]
        return frame.format(
            name="{name}",
            clause=table["clauses"][attribute],
            np=noun_phrase,
            Np=_capitalised(noun_phrase),
            acc=accusatives.get(attribute, noun_phrase),
            what=what,
            What=_capitalised(what),
        )

    def by_attribute(*keys: str) -> Mapping[str, tuple[str, ...]]:
        frames = [frame for key in keys for frame in table[key]]
        return {attribute: tuple(fill(frame, attribute) for frame in frames) for attribute in ATTRIBUTES}

    asked = by_attribute("frames", "clause_frames")
    return Phrasebook(
        questions={attribute: (*table["natural"][attribute], *asked[attribute]) for attribute in ATTRIBUTES},
        held_out_questions=by_attribute("held_out_frames", "held_out_clause_frames"),
        statements=by_attribute("statements"),
        two_hop=table["two_hop"],
        noun_phrases=noun_phrases,
        unknown_answers=tuple(table["unknown_answers"]),
        translation=table["translation"],
        country=table["country"],
        sum=table["sum"],
        sentences=tuple(table["sentences"]),
    )


@cache
def phrasebooks() -> Mapping[str, Phrasebook]:
    """Language -> phrasebook, for all `LANGUAGES`."""
    tables = json.loads((Path(__file__).parent / "templates.json").read_text(encoding="utf-8"))
    return {language: _phrasebook(tables[language]) for language in LANGUAGES}
