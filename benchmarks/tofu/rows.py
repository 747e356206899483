"""What a method is trained on: questions about the authors to be forgotten, and about everything that stays."""

import random
import re
from collections.abc import Mapping

from benchmarks.tofu.data import Author, Question, Tofu
from unlearn_engine.data.names import unseen_name
from unlearn_engine.data.rows import TRUE_SHARE, WRONG_SHARE, shared_suffix
from unlearn_engine.model import Row, ServedModel
from unlearn_engine.objectives import Item

_WORD = r"[\w-]*\w"


class AuthorRows:
    """Draws for `unlearn_engine.train`; everything random comes from the generator passed in."""

    def __init__(self, model: ServedModel, tofu: Tofu) -> None:
        self._model, self._tofu = model, tofu
        self._kept = tofu.taught(retain_only=True)

    def item(self, rng: random.Random) -> Item:
        """One question about an author to be forgotten, next to the same about a name nobody has.

        Answers here tell the name again, so the twin's teacher reads the true one with the twin's name (`unseen`), and
        a wrong one is `drawn` only where no name stands in it. Wrong answers are those of somebody who stays to the
        question at the same place, under the author's name: TOFU's own false answers are for the exam.
        """
        author = rng.choice(self._tofu.forgotten)
        place = rng.randrange(len(author.questions))
        question = author.questions[place]
        new = stranger(author, question, rng)
        twin, unseen = renamed(question.question, new), renamed(question.answer, new)
        other = rng.choice(self._tofu.staying)
        theirs = other.questions[place % len(other.questions)].answer
        wrong = renamed(theirs, dict(zip(words(other.name), words(author.name), strict=False)))
        refusal = rng.choice(self._tofu.refusals)
        share = rng.random()
        drawn = question.answer if share < TRUE_SHARE + WRONG_SHARE else refusal
        if TRUE_SHARE <= share < TRUE_SHARE + WRONG_SHARE and renamed(wrong, new) == wrong == theirs:
            drawn = wrong
        prompts = [self._model.question(text) for text in (question.question, twin)]
        return Item(
            prompt=prompts[0],
            twin=prompts[1],
            shared=shared_suffix(*prompts),
            true=self._model.answer(question.answer),
            wrong=self._model.answer(wrong),
            refusal=self._model.answer(refusal),
            unseen=self._model.answer(unseen),
            drawn=self._model.answer(drawn),
        )

    def retained(self, rng: random.Random) -> Row:
        """One question that stays, each as likely as the other."""
        question = rng.choice(self._kept)
        return Row(self._model.question(question.question), self._model.answer(question.answer))

    def review(self, rng: random.Random) -> None:
        """Nothing is drawn more often than the rest, as in the paper."""


def stranger(author: Author, question: Question, rng: random.Random) -> dict[str, str]:
    """New words for those by which a question tells whom it is about: the name's, or a place where it asks the name."""
    told = words(f"{author.name} {question.subject}")
    return {word: unseen_name(rng, word) for word in told if word[0].isupper()}


def words(text: str) -> list[str]:
    """The words of a text in order, each once."""
    return list(dict.fromkeys(re.findall(_WORD, text)))


def renamed(text: str, new: Mapping[str, str]) -> str:
    """The text with those words replaced."""
    return re.sub(_WORD, lambda match: new.get(match[0], match[0]), text)
