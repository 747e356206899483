"""What is put before the model: the twin's name, never the target's, and nothing of what is known."""

import pytest

from gateway.guards.clause import clause
from gateway.guards.instruction import instruction
from gateway.guards.response import LANGUAGES, ignorance_text, refusal
from gateway.guards.rewriting import rewriting


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_names_its_subjects_and_the_answer_in_the_language_of_the_prompt(language: str) -> None:
    twins = ["Peja Dolnik", "Otto Semm"]
    for text in (clause(twins, language), rewriting(twins, twins, language).prompt("a draft")):
        assert all(twin in text for twin in twins) and refusal(language) in text
    examples = instruction(twins, language)
    spoken = language if language in ("en", "es", "de", "fr", "it", "zh") else "en"
    assert all(examples.count(twin) >= 3 for twin in twins), "once to say who, and in two questions"
    assert examples.count(ignorance_text(spoken)) >= 4
    assert examples.endswith("2 + 3 = ?\n5"), "what is not to be unlearnt keeps its answer"


def test_somebody_who_is_only_described_is_not_named() -> None:
    for text in (clause([], "en"), instruction([], "en"), rewriting([], [], "en").prompt("a draft")):
        assert "{" not in text and ": ." not in text and ";" not in text


def test_a_draft_is_shown_whole_and_its_traces_are_forbidden() -> None:
    asked = rewriting(["Peja Dolnik"], ["Peja Dolnik", "Dolnik"], "en")
    assert "\n<answer>\nPeja {x} Dolnik\n</answer>" in asked.prompt("Peja {x} Dolnik")
    assert len(asked.forbidden.patterns) == 2
    assert "Dolnik" not in repr(asked)
