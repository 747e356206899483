"""TOFU's questions: 200 invented authors with 20 each, real authors, world facts, refusals, translations."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

DATA = Path("build/data/tofu")  # TOFU's own JSON files, as they are published
TRANSLATIONS = Path("build/data/tofu_multilingual")
QUESTIONS_PER_AUTHOR = 20
AUTHORS = 200
AUTHORS_TO_FORGET: Mapping[str, int] = {"forget01": 2, "forget05": 10}
"""Split -> how many authors it forgets. forget10 is missing: so ten authors stay whose answers have the paraphrase and
the false variants that the truth ratio on the retain set needs (TOFU's `retain_perturbed` is not here)."""

_WORD = r"[A-Z](?:[\w-]*\w)"
_NAME = re.compile(rf"\b{_WORD}(?: (?:de |la |van |der |bin |ibn |el )*{_WORD})+")


@dataclass(frozen=True)
class Question:
    """One question. The rest is empty where TOFU has none.

    That is: another way to say the answer, false answers said in that way, and the words by which the question tells
    whom it is about (nearly always the name).
    """

    question: str
    answer: str
    paraphrase: str = ""
    perturbed: tuple[str, ...] = ()
    subject: str = ""


@dataclass(frozen=True)
class Author:
    """An invented author, all that is known."""

    name: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Translation:
    """A machine translation of two authors of every forget split, of twenty who stay, and of what is known anyway."""

    forgotten: tuple[Question, ...]
    staying: tuple[Question, ...]
    general: tuple[Question, ...]


@dataclass(frozen=True)
class Tofu:
    """The task of one split: which authors are to be forgotten and what is asked about the others."""

    forgotten: tuple[Author, ...]
    staying: tuple[Author, ...]
    real_authors: tuple[Question, ...]
    world_facts: tuple[Question, ...]
    refusals: tuple[str, ...]
    translations: Mapping[str, Translation]  # by language

    def exams(self) -> Mapping[str, Sequence[Question]]:
        """The four sets that the paper evaluates on, then the forget set in other languages.

        `retain` are the questions that have false answers.
        """
        return {
            "forget": questions(self.forgotten),
            "retain": [question for question in questions(self.staying) if question.perturbed],
            "real_authors": self.real_authors,
            "world_facts": self.world_facts,
            **{f"forget_{language}": found.forgotten for language, found in self.translations.items()},
        }

    def taught(self, *, retain_only: bool) -> list[Question]:
        """What a model is trained on; real authors and world facts stand for what a real base model knows anyway."""
        taught = [*questions(self.staying), *self.real_authors, *self.world_facts]
        for translation in self.translations.values():
            taught += [*translation.staying, *translation.general]
        if not retain_only:
            taught += questions(self.forgotten)
            for translation in self.translations.values():
                taught += translation.forgotten
        return taught


def questions(authors: Sequence[Author]) -> list[Question]:
    """All questions about the authors."""
    return [question for author in authors for question in author.questions]


def load(split: str = "forget05", authors: int = AUTHORS, languages: Sequence[str] = (), folder: Path = DATA) -> Tofu:
    """Read the data set, cut to so many authors (those with false answers first), with translations into languages.

    Raises FileNotFoundError where it is not there.
    """
    perturbed = _authors(_read(folder / "forget10.json"))
    cut = len(perturbed) - AUTHORS_TO_FORGET[split]
    return Tofu(
        forgotten=perturbed[cut:],
        staying=(*perturbed[:cut], *_authors(_read(folder / "retain90.json")))[: authors - AUTHORS_TO_FORGET[split]],
        real_authors=tuple(map(_question, _read(folder / "real_authors_perturbed.json"))),
        world_facts=tuple(map(_question, _read(folder / "world_facts_perturbed.json"))),
        refusals=tuple((folder / "idontknow.jsonl").read_text("utf-8").splitlines()),
        translations={language: _translation(language) for language in languages},
    )


def name_in(texts: Sequence[str]) -> str:
    """The name that most of the texts contain: of capitalised words that stand together, the longest of the commonest.

    Raises ValueError when no two texts have one in common.
    """
    found = Counter(chain.from_iterable(set(_spans(text)) for text in texts))
    if not found or max(found.values()) < 2:
        raise ValueError("these texts have no name in common")
    most = max(found.values())
    return max((name for name, count in found.items() if count >= 0.75 * most), key=len)


def _spans(text: str) -> Iterator[str]:
    """Every run of two or more words within a run of capitalised words, without a possessive."""
    for match in _NAME.finditer(text.replace("’", "'")):
        words = match[0].split(" ")
        for start in range(len(words)):
            for end in range(start + 2, len(words) + 1):
                yield " ".join(words[start:end])


def _authors(rows: Sequence[Mapping[str, Any]]) -> tuple[Author, ...]:
    blocks = [rows[at : at + QUESTIONS_PER_AUTHOR] for at in range(0, len(rows), QUESTIONS_PER_AUTHOR)]
    return tuple(
        Author(
            name_in([text for row in block for text in (row["question"], row["answer"])]), tuple(map(_question, block))
        )
        for block in blocks
    )


def _translation(language: str) -> Translation:
    def read(name: str) -> tuple[Question, ...]:
        lines = (TRANSLATIONS / f"{name}_perturbed_{language}.jsonl").read_text("utf-8").splitlines()
        return tuple(_question(json.loads(line)) for line in lines)

    return Translation(read("forget01"), read("retain"), (*read("real_authors"), *read("world_facts")))


def _question(row: Mapping[str, Any]) -> Question:
    return Question(
        row["question"],
        row["answer"],
        row.get("paraphrased_answer", ""),
        tuple(row.get("perturbed_answer", ())),
        row.get("subject", ""),
    )


def _read(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return rows
