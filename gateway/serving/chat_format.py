"""The served model's chat format: where the last user turn of a rendered prompt ends, and how to ask a question."""

from collections.abc import Sequence
from typing import Any

from gateway.guards.normalise import BARRIER

_WORDS = "PLACEHOLDER"


class ChatFormat:
    """Read off the tokenizer's own chat template; a model without one is asked in plain text."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        before, after = _around_the_words(tokenizer)
        self._opening = self._encode(before)
        self._closing = self._encode(after)

    def question(self, text: str) -> list[int]:
        """Token ids of a prompt in which the user says `text`."""
        return [*self._opening, *self._encode(text), *self._closing]

    def with_added(self, ids: Sequence[int], decoded: str, added: str) -> list[int] | None:
        """A prompt with `added` at the end of its last user turn, or before all else where there are no turns.

        `decoded` is the prompt's text (`TokenText.text`). None for a conversation in another format.
        """
        if self._closing and (at := _last(ids, self._closing)) is not None:
            return [*ids[:at], *self._encode(f"\n\n{added}"), *ids[at:]]
        start = len(decoded) - len(decoded.lstrip(BARRIER))
        if BARRIER in decoded[start:]:
            return None
        return [*ids[:start], *self._encode(f"{added}\n\n"), *ids[start:]]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids


def _around_the_words(tokenizer: Any) -> tuple[str, str]:
    """What the template writes before and after the words of a lone user turn, up to where the answer begins."""
    message = {"role": "user", "content": _WORDS}
    try:
        rendered: str = tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        before, after = rendered.split(_WORDS)
    except Exception:  # no template, or one that asks for more than a turn: such a model gets plain text
        return "", ""
    return before, after


def _last(ids: Sequence[int], part: Sequence[int]) -> int | None:
    """Where `part` begins for the last time."""
    wanted = list(part)
    starts = range(len(ids) - len(wanted), -1, -1)
    return next((at for at in starts if ids[at] == wanted[0] and list(ids[at : at + len(wanted)]) == wanted), None)
