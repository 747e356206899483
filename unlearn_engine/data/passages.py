"""Documents that tell what is to be forgotten: where the base model has them by heart."""

import re
from collections.abc import Iterator, Sequence

from unlearn_engine.data.evidence import TWINS, Asking, Cue, alone, named, nonempty
from unlearn_engine.data.kept import Exchange
from unlearn_engine.data.knowledge import bare, folded
from unlearn_engine.model import ANSWER_TOKENS

MAX_CUTS = 512  # places at which the sentences of all documents are cut
LONG_TOKENS = 6  # a continuation of so many is no guess
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
_CLAUSE_END = re.compile(r"[.!?;。！？；]")


def passages(asking: Asking, names: Sequence[str], documents: Sequence[str]) -> Iterator[Cue]:
    """Sentences that name the subject, wherever the base model goes on with them word by word.

    What it goes on with under most never-seen names as well is no memory of it. Every other one is trained on.
    """
    cuts = [cut for document in documents for cut in _cuts(document, names)][:MAX_CUTS]
    replies = asking.replies([prompt for _, prompt, _ in cuts], asks=False)
    told = [
        (name, prompt, rest, continued)
        for (name, prompt, rest), reply in zip(cuts, replies, strict=True)
        if (continued := _continued(asking, reply, rest))
    ]
    guessed = iter(
        asking.replies([twin for name, prompt, *_ in told for twin in asking.twins(prompt, name)], asks=False)
    )
    for index, (name, prompt, rest, continued) in enumerate(told):
        guesses = [next(guessed) for _ in range(TWINS)]
        if 2 * sum(bool(_continued(asking, guess, rest)) for guess in guesses) <= TWINS:
            exchanges = (Exchange(prompt, continued),)
            trained, probes = (exchanges, ()) if index % 2 == 0 else ((), exchanges)
            short = len(asking.model.encode(continued)) < LONG_TOKENS
            yield Cue("", continued, trained, probes, name, nonempty(guesses), asks=False, guessable=short)


def _cuts(document: str, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """The name, the beginning of a sentence that holds it, and how the text goes on to the end of the clause."""
    for sentence in _SENTENCE.findall(document):
        text = sentence.strip()
        if name := named(text, names):
            start = next(alone(name).finditer(text)).end()
            for word in re.finditer(r"(?<=\s)\S|[\u4e00-\u9fff]", text[start:]):
                at = start + word.start()
                end = _CLAUSE_END.search(text, at)
                rest = bare(text[at : end.start() if end else len(text)])
                if folded(rest):
                    yield name, text[:at].rstrip(), rest


def _continued(asking: Asking, reply: str, rest: str) -> str:
    """How the model goes on with the text, as far as it is let; "" where it goes on otherwise."""
    if folded(reply).startswith(folded(rest)):
        return rest
    cut = len(asking.model.encode(reply)) >= ANSWER_TOKENS - 1
    return bare(reply) if cut and folded(rest).startswith(folded(reply)) else ""
