"""Names nobody has: what a model that never knew the subject would see in its place."""

import random
import re
from collections.abc import Callable, Sequence

_LATIN = (("br", "dr", "kr", "st", *"bdfgklmnprstvzhj"), "aeiou", ("", "n", "r", "l", "s", "k"))
_CYRILLIC = (("бр", "др", "кр", "ст", *"бвгдзклмнпрст"), "аеиоу", ("", "н", "р", "л", "с", "к"))
_GREEK = (tuple("βγδζκλμνπρστφχ"), "αειου", ("", "ν", "ρ", "λ", "σ", "κ"))
_HAN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂燕辉玲华建玉志海峰云雪松"
_WORD = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
ATTEMPTS = 64


def unseen_name(rng: random.Random, like: str | None = None, *, whole: bool = False) -> str:
    """Return a never-seen name; with `like`, keep its first word, the other words' shape, script and separators.

    With `whole` the first word is replaced too.

    A name of one word has nothing to keep and is replaced whole. The names are made of syllables, so a collision with
    a real name is possible but unlikely; a caller with a list of known names can ask `Domain.unseen_name` instead.
    """
    if like is None:
        return f"{_word(rng, 'Abcde')} {_word(rng, 'Abcdefg')}"
    words = list(_WORD.finditer(like))
    if not whole and len(words) == 1 and _is_han(words[0][0]) and len(words[0][0]) > 1:
        surname, given = words[0][0][0], words[0][0][1:]
        return like[: words[0].start()] + surname + _word(rng, given) + like[words[0].end() :]
    kept = words[0].start() if len(words) > 1 and not whole else None
    return _WORD.sub(lambda match: match[0] if match.start() == kept else _word(rng, match[0]), like)


def unseen_answer(rng: random.Random, answers: Sequence[str]) -> str | None:
    """Return an answer that nobody has in the manner of those given; None when there is no making one.

    Digits are drawn anew. Words are the beginning of one answer and the end of another, joined at a word (where answers
    are single words: a character) that both have.
    """
    for _ in range(ATTEMPTS if len(answers) > 1 else 0):
        one, other = rng.sample(answers, 2)
        made = _DIGIT.sub(lambda _: str(rng.randrange(10)), one) if _DIGIT.search(one) else _joined(rng, one, other)
        if made and made not in answers and len(made) in (len(one), len(other)):
            return made
    return None


def _joined(rng: random.Random, one: str, other: str) -> str | None:
    space = " " if " " in one and " " in other else ""
    head, tail = (text.split(space) if space else list(text) for text in (one, other))
    joints = [(i, j) for i in range(1, len(head)) for j in range(1, len(tail)) if head[i] == tail[j]]
    if not joints:
        return None
    i, j = rng.choice(joints)
    return space.join(head[:i] + tail[j:])


def _is_han(word: str) -> bool:
    return all("\u4e00" <= character <= "\u9fff" for character in word)


def _word(rng: random.Random, like: str) -> str:
    """A different word of about the same length, in the same script and case."""
    if _is_han(like):
        return _differing(like, lambda: "".join(rng.choice(_HAN) for _ in like))
    first = like[0].casefold()
    onsets, vowels, codas = _CYRILLIC if "\u0400" <= first <= "\u04ff" else _GREEK if "α" <= first <= "ω" else _LATIN

    def syllables() -> str:
        word = ""
        while len(word) < max(len(like) - 1, 3):
            word += rng.choice(onsets) + rng.choice(vowels) + rng.choice(codas)
        return word.upper() if like.isupper() and len(like) > 1 else word.capitalize() if like[0].isupper() else word

    return _differing(like, syllables)


def _differing(like: str, make: Callable[[], str]) -> str:
    while (word := make()).casefold() == like.casefold():
        pass
    return word
