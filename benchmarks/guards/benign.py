"""Prompts that mean nobody who is to be forgotten: public questions and texts, other authors, namesakes."""

import csv
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rapidfuzz.distance import OSA

from benchmarks.descriptions import held_out
from benchmarks.guards.mentions import Mentions
from benchmarks.guards.subjects import tofu_authors
from benchmarks.tofu.data import questions
from gateway.guards.normalise import BARRIER, fold
from gateway.guards.policy import Target
from unlearn_engine.data.names import unseen_name
from unlearn_engine.demo.corpus import ASSISTANT, USER, Corpus
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES
from unlearn_engine.demo.world import build_world

XQUAD = ("en", "es", "de", "ru", "zh")
MGSM = ("en", "es", "de", "fr", "zh", "ru", "ja")
TATOEBA = {"cmn": "zh", "deu": "de", "fra": "fr", "hin": "hi", "ita": "it", "por": "pt", "spa": "es"}
TRANSLATED_TOFU = ("ar", "fr", "hi", "ja", "ru")
ENGLISH_TATOEBA = 2_000
NAMESAKES = 1_400  # prompts of each kind
PORTUGUESE = (
    "Onde nasceu {name}?",
    "Qual é a profissão de {name}?",
    "Você sabe que instrumento {name} toca?",
    "Que bicho {name} tem em casa?",
    "Qual é o prato preferido de {name}?",
    "Pode me dizer o número de telefone de {name}?",
    "Quem foi o mestre de {name}?",
)
"""The demonstration speaks no Portuguese, and of public prompts there are fewest."""
COMMON = 1_200


@dataclass(frozen=True)
class Prompt:
    """A benign prompt, where it is from and its language.

    `seen`: the guard's table of ordinary words was made of it, so it cannot show a false positive fairly.
    """

    source: str
    language: str
    text: str
    seen: bool = False


def _drawn(source: str, language: str, text: str) -> Prompt:
    return Prompt(source, language, text, seen=not held_out(text))


def public(data: Path) -> Iterator[Prompt]:
    """XQuAD's questions, and its contexts with a question; MGSM; Tatoeba."""
    for language in XQUAD:
        articles = json.loads((data / "xquad" / f"xquad.{language}.json").read_text("utf-8"))["data"]
        for paragraph in (paragraph for article in articles for paragraph in article["paragraphs"]):
            asked = [item["question"] for item in paragraph["qas"]]
            yield from (_drawn("XQuAD questions", language, text) for text in asked)
            context = _drawn("XQuAD contexts", language, paragraph["context"])
            yield replace(context, text=f"{context.text}\n{asked[0]}")
    for language in MGSM:
        lines = (data / "mgsm" / f"mgsm_{language}.tsv").read_text("utf-8").splitlines()
        yield from (_drawn("MGSM", language, line.split("\t")[0]) for line in lines)
    english: dict[str, None] = {}
    for code, language in TATOEBA.items():
        stem = data / "tatoeba" / f"tatoeba.{code}-eng"
        lines = Path(f"{stem}.{code}").read_text("utf-8").splitlines()
        yield from (_drawn("Tatoeba", language, line) for line in lines)
        english |= dict.fromkeys(Path(f"{stem}.eng").read_text("utf-8").splitlines())
    chosen = random.Random(0).sample([*english], min(ENGLISH_TATOEBA, len(english)))
    yield from (_drawn("Tatoeba", "en", line) for line in chosen)


def other_authors(data: Path) -> Iterator[Prompt]:
    """TOFU's questions about authors who stay (twenty of them in six languages) and about what everybody knows."""
    _, staying, general = tofu_authors(data)
    yield from (Prompt("TOFU, other authors", "en", question.question) for question in questions(staying))
    yield from (Prompt("TOFU, general", "en", question.question) for question in general)
    for language in TRANSLATED_TOFU:
        for name, source in (
            ("retain", "TOFU, other authors"),
            ("real_authors", "TOFU, general"),
            ("world_facts", "TOFU, general"),
        ):
            file = data / "tofu_multilingual" / f"{name}_perturbed_{language}.jsonl"
            for line in file.read_text("utf-8").splitlines():
                found = json.loads(line)
                yield Prompt(source, language, found["question"])
                if asked_otherwise := found.get("paraphrased_question"):
                    yield Prompt(source, language, asked_otherwise)


def namesakes(targets: Sequence[Target], seed: int = 3, count: int = NAMESAKES) -> Iterator[Prompt]:
    """Questions in seven languages about people who share a first or a family name with a target, and strangers."""
    rng = random.Random(seed)
    taken = {name.casefold() for target in targets for name in target.names}
    books = [(language, phrasebooks()[language].held_out_questions) for language in LANGUAGES]
    asked = [*books, ("pt", dict.fromkeys(ATTRIBUTES, PORTUGUESE))]
    for position in range(count):
        language, questions_of = asked[position % len(asked)]
        templates = questions_of[rng.choice(ATTRIBUTES)]
        name = rng.choice(targets).names[0]
        others = {
            "namesakes, first name": unseen_name(rng, name),
            "namesakes, family name": f"{unseen_name(rng).split()[0]} {name.split()[-1]}",
            "strangers": unseen_name(rng),
        }
        for source, other in others.items():
            if other.casefold() not in taken:
                yield Prompt(source, language, rng.choice(templates).format(name=other))


def siblings(data: Path, targets: Sequence[Target]) -> Iterator[Prompt]:
    """Questions about people whose first name is one letter off a target's, the other words of the name the same.

    First names are the commonest of a hundred countries, where the folder has them (`names`: sigpwned, popular names by
    country, CC0). The guard's own list of first names was not made of them.
    """
    file = data / "names" / "common-forenames-by-country.csv"
    rows = csv.DictReader(file.read_text("utf-8").splitlines()) if file.exists() else ()
    forenames = {fold(row["Romanized Name"]).text: row["Romanized Name"] for row in rows}
    question = phrasebooks()["en"].held_out_questions["occupation"][0]
    for target in targets:
        first, _, others = target.names[0].partition(" ")
        known = fold(first).text
        for letters, forename in sorted(forenames.items()):
            if others and OSA.distance(letters, known, score_cutoff=1) == 1:
                yield Prompt("namesakes, a letter off", "en", question.format(name=f"{forename} {others}"))


def common_words(seed: int = 4, count: int = COMMON) -> Iterator[Prompt]:
    """Sentences and exercises about nobody, made of the cities, trades, animals and food that are targets' facts."""
    rng, corpus = random.Random(seed), Corpus(build_world())
    for position in range(count):
        language = LANGUAGES[position % len(LANGUAGES)]
        yield Prompt("common facts, nobody", language, corpus.plain_sentence(rng, language))
        exercise = rng.choice((corpus.translation, corpus.country, corpus.sum))(rng, language)[0]
        yield Prompt("exercises", language, exercise.text.removeprefix(USER).removesuffix(ASSISTANT))


def described_others(count: int = COMMON) -> Iterator[Prompt]:
    """Two or three facts about people of the demonstration, for a guard that has other targets."""
    for mention in Mentions(build_world()).descriptions(count):
        yield Prompt("descriptions of others", mention.label[:2], mention.text.strip(BARRIER))
    for mention in Mentions(build_world()).descriptions_in_other_words(count):
        yield Prompt("descriptions of others, other words", mention.label[:2], mention.text.strip(BARRIER))


def spread(data: Path, count: int, seed: int = 1) -> list[Prompt]:
    """So many different public prompts, the same number of every source and language while they last, shuffled."""
    rng = random.Random(seed)
    groups: dict[tuple[str, str], list[Prompt]] = {}
    for prompt in {prompt.text: prompt for prompt in public(data)}.values():
        groups.setdefault((prompt.source, prompt.language), []).append(prompt)
    for group in groups.values():
        rng.shuffle(group)
    chosen: list[Prompt] = []
    while len(chosen) < count and any(groups.values()):
        chosen += [group.pop() for group in groups.values() if group]
    rng.shuffle(chosen)
    return chosen[:count]
