"""Which answers and prompts an objective puts in place of the item's own: functions to hand to its fields."""

from collections.abc import Callable, Sequence

from unlearn_engine.objectives import Item

Tokens = tuple[int, ...]
Answers = Callable[[Item], Sequence[Tokens]]  # alternatives to the true answer, at least one
Prompt = Callable[[Item], Tokens]  # the prompt that a teacher reads; the same answer follows it


def refusal(item: Item) -> tuple[Tokens, ...]:
    """The item's own refusal."""
    return (item.refusal,)


def somebody_elses(item: Item) -> tuple[Tokens, ...]:
    """What the base model answers about somebody else: fluent, in the domain, and false."""
    return (item.wrong,)


def falsehoods(item: Item) -> tuple[Tokens, ...]:
    """Somebody else's answer and an invented one; each once, and never the true one."""
    return tuple(dict.fromkeys(answer for answer in (item.wrong, item.unseen) if answer != item.true)) or (item.wrong,)


def twin(item: Item) -> Tokens:
    """The prompt about a never-seen name."""
    return item.twin


def inserted(tokens: Tokens, after: int = 0) -> Prompt:
    """The item's prompt with an instruction or a marker put in after so many of its first tokens.

    `after` skips what has to come first (the beginning-of-text token, the opening of the user's turn).
    """
    return lambda item: item.prompt[:after] + tokens + item.prompt[after:]
