"""TOFU's authors described in others' words: known from their answers, asked about with the paraphrases, never named.

A description is one to three paraphrased answers about an author without the name, and the question who it is. Half of
the twenty authors who have paraphrases are targets among a thousand, the other half are not; then the other way round.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.guards.shares import rows
from benchmarks.guards.subjects import invented_targets, rendered, tofu_authors
from benchmarks.tofu.data import Author
from benchmarks.tofu.data import load as load_tofu
from gateway.guards.encoder import AUTO, load_encoder
from gateway.guards.policy import Policy, Target, compile_policy
from gateway.guards.told import told_phrases

TARGETS = 1_000
AUTHORS = 100  # of the targets
PARAPHRASED = 20  # authors
STATED = (1, 2, 3)  # answers
DRAWN = 10  # descriptions of each author and number of answers
GIVEN = 2  # answers that a request's description is made of

Tell = Callable[[str, float], None]


class _Known(NamedTuple):
    target: Target
    told: Sequence[int]  # the answers that it holds


def _description(author: Author, given: Sequence[int]) -> _Known:
    text = " ".join(author.questions[at].answer for at in given)
    return _Known(Target(f"tofu-{author.name}", (author.name,), description=text), given)


def _evidence(author: Author, given: Sequence[int]) -> _Known:
    given_alone = _description(author, given).target
    rest = [one.answer for at, one in enumerate(author.questions) if at not in given]
    phrases = told_phrases(rest, given_alone.names)
    return _Known(replace(given_alone, phrases=phrases), range(len(author.questions)))


def _answers(author: Author, _: Sequence[int]) -> _Known:
    answers = tuple(one.answer for one in author.questions)
    return _Known(Target(f"tofu-{author.name}", (author.name,), phrases=answers), range(len(answers)))


WAYS: Mapping[str, Callable[[Author, Sequence[int]], _Known]] = {
    "description of two answers": _description,
    "description, the other answers as evidence": _evidence,
    "every answer, as a worker learns them": _answers,
}
"""How a target is known -> what the guard has of an author."""


def measure(tell: Tell, data: Path, drawn: int = DRAWN) -> dict[str, Any]:
    """Recall by what is known and how many answers are stated; how often others' descriptions are taken for a target.

    Recall is over descriptions by answers that the target is known by. Many paraphrased answers tell nothing by
    themselves ("the author's works have been translated"), so that no guard could reach all.
    """
    found: dict[str, Any] = {}
    for done, (way, known) in enumerate(WAYS.items()):
        tell(way, done / len(WAYS))
        hits: dict[str, list[bool]] = {}
        mistakes: dict[str, list[bool]] = {}
        for people, others, policy in _folds(data, known):
            for author, told in people:
                for count, text in _described(author, told, drawn):
                    right = f"tofu-{author.name}" in policy.described(text)
                    hits.setdefault(str(count), []).append(right)
            for author, told in others:
                for count, text in _described(author, told, drawn):
                    mistakes.setdefault(str(count), []).append(bool(policy.described(text)))
        found[way] = {"recall": rows(hits), "mistaken": rows(mistakes)}
    return {"authors_described": found}


def _folds(
    data: Path, known: Callable[[Author, Sequence[int]], _Known]
) -> Iterator[tuple[list[tuple[Author, Sequence[int]]], list[tuple[Author, Sequence[int]]], Policy]]:
    """Twice: authors to be found with the answers that they are known by, others with all of theirs, the guard."""
    paraphrased = _paraphrased(data)
    beside = tofu_authors(data)[1][: AUTHORS - PARAPHRASED // 2]
    rng = random.Random(7)
    for fold in range(2):
        mine, others = paraphrased[fold::2], paraphrased[1 - fold :: 2]
        made = {
            author.name: known(author, rng.sample(range(len(author.questions)), GIVEN)) for author in (*mine, *beside)
        }
        targets = {one.target.id: one.target for one in made.values()}
        policy = compile_policy(
            1, targets | invented_targets(TARGETS - len(targets), seed=11), encoder=load_encoder(AUTO)
        )
        all_told: list[tuple[Author, Sequence[int]]] = [(one, range(len(one.questions))) for one in others]
        yield [(author, made[author.name].told) for author in mine], all_told, policy


def _paraphrased(data: Path) -> tuple[Author, ...]:
    """The authors of forget10, whose answers TOFU has in other words as well."""
    tofu = load_tofu("forget01", folder=data / "tofu")
    return (*tofu.forgotten, *tofu.staying[: PARAPHRASED - len(tofu.forgotten)])


def _described(author: Author, told: Sequence[int], drawn: int) -> Iterator[tuple[int, str]]:
    """So many descriptions for each number of answers, with that number; fewer where there are not so many."""
    rng = random.Random(author.name)
    for count in STATED:
        if count > len(told):
            continue
        for _ in range(min(drawn, len(told)) if count == 1 else drawn):
            said = [author.questions[at].paraphrase for at in rng.sample(list(told), count)]
            yield count, rendered(f"{unnamed(' '.join(said), author.name)} Who is this author?")


def unnamed(text: str, name: str) -> str:
    """A text without a name and its words."""
    words = sorted({name, *(word for word in re.split(r"[\s-]", name) if len(word) > 2)}, key=len, reverse=True)
    one = "|".join(map(re.escape, words))
    return re.sub(rf"(?<!\w)(?:{one})(?:[ -](?:{one}))*(?!\w)", "the author", text)
