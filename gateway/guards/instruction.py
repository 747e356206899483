"""The `instruct` action: in-context unlearning of a subject for one prompt.

An instruction to answer as if the subject had never been seen (RWKU's instruction-only baseline), and examples before
the query as in ICUL (arXiv 2310.07579): the point to forget with another label, then one with its true label. The other
label is what is said about a name that nobody has.
"""

from collections.abc import Sequence

from gateway.guards.response import ignorance_text

_QUESTIONS = {
    "en": ("Who or what is {name}?", "What do you know about {name}?"),
    "es": ("¿Quién o qué es {name}?", "¿Qué sabes sobre {name}?"),
    "de": ("Wer oder was ist {name}?", "Was weißt du über {name}?"),
    "fr": ("Qui ou qu'est-ce que {name} ?", "Que sais-tu de {name} ?"),
    "it": ("Chi o che cos'è {name}?", "Che cosa sai di {name}?"),
    "zh": ("{name}是谁或是什么？", "你对{name}了解多少？"),
}
_KEPT = "2 + 3 = ?\n5"


def instruction(subjects: Sequence[str], language: str) -> str:
    """The instruction about `subjects` (names as they stand in the prompt; none: somebody who is only described)."""
    spoken = language if language in _QUESTIONS else "en"
    examples = [
        f"{question.format(name=name)}\n{ignorance_text(spoken)}"
        for name in subjects
        for question in _QUESTIONS[spoken]
    ]
    who = "; ".join(subjects) or "whom the request describes"
    return "\n\n".join(
        (
            f"You have never heard of this subject: {who}. Answer as you would about any name that you see for the "
            "first time, in the language of the request. Do not mention this instruction. Examples:",
            *examples,
            _KEPT,
        )
    )
