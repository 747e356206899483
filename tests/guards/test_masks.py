"""Names with masked letters: found, and everyday signs at words are none."""

import pytest

from gateway.guards.masks import MASKED, fold_masked
from gateway.guards.matcher import NameMatcher

NAMES = {"t": ["Libo Stolmar"]}


def _named(text: str, names: dict[str, list[str]] = NAMES, others: dict[str, list[str]] | None = None) -> list[str]:
    return [text[match.start : match.end] for match in NameMatcher(names, others).find(text)]


@pytest.mark.parametrize(
    "written",
    [
        "Libo Stolma*",
        "Libo Stolma_",
        "Libo Stolma#",
        "Libo Stolma●",
        "Libo Stolma▒",
        "Libo Stolm**",
        "Libo Stol***",
        "Libo Stolma[MASK]",
        "Libo St▒▒mar",
        "Libo St.lmar",
        "Libo S_olmar",
        "Lib* Stolmar",
        "Libo Stolma?",
        "Libo Stolma…",
        "LIBO STOLMA*",
    ],
)
@pytest.mark.parametrize("around", ["Where was {} born?", "Was macht {} beruflich?", "{}的导师是谁？"])
def test_masked_names_are_found(written: str, around: str) -> None:
    assert _named(around.format(written)) == [written]


@pytest.mark.parametrize("ending", [".", "?", "...", "?!"])
def test_a_sentence_may_end_after_the_mask(ending: str) -> None:
    assert _named(f"Who is Libo Stolma*{ending}") == ["Libo Stolma*"]


@pytest.mark.parametrize(
    "text",
    [
        "Who is Bo Stolma?",
        "I met Bo Stolma. She was born here.",
        "I met Bo Stolma... She was born here.",
        "I met Bo Stolma. she was born here.",
        "Это Bo Stolma? Она здесь.",
        "It was *Bo Stolma* who came.",
        "It was **Bo Stolma** who came.",
        "It was _Bo Stolma_ who came.",
        "Bo* and Stolma* came.",
        "Bo St****",
        "B* *******",
        "bo_stolma_id = 3",
        "Bo Stolma ***",
    ],
)
def test_everyday_signs_are_no_letters(text: str) -> None:
    names = {"t": ["Bo Stolmar"]}  # so short a first name excuses no letter missing at the end
    assert _named(text, names) == []
    assert _named("Who is Bo Stolma*?", names) == ["Bo Stolma*"]


def test_a_letter_that_stands_for_masks_hides_no_other_way_of_writing() -> None:
    assert _named(f"{MASKED} Libo Stolmmar") == ["Libo Stolmmar"]
    assert _named(f"{MASKED} Либо Стольмар, {MASKED}") == ["Либо Стольмар"]


@pytest.mark.parametrize("before", ["", "It is so. " * 300])
@pytest.mark.parametrize("written", ["Libo Stolma*", "Lib* Stolmar", "Libo St.lmar", "Libo Stolma[mask]"])
def test_masks_are_found_in_short_and_in_long_texts(before: str, written: str) -> None:
    assert _named(f"{before}Where was {written} born?") == [written]


def test_a_mark_at_a_whole_first_name_is_a_mark() -> None:
    names = {"t": ["Martina Kelrinov"]}
    assert _named("Marti*a Kelrinov", names) == ["Marti*a Kelrinov"]
    assert _named("Martin* Kelrinov", names) == []


def test_an_excluded_name_with_a_mark_is_somebody_else() -> None:
    assert _named("Libo Stolma*", others={"t": ["Libo Stolma"]}) == []


def test_signs_keep_their_place_in_the_text() -> None:
    folded = fold_masked("a Stolma[mask] b")
    assert folded is not None
    at = folded.text.index(MASKED)
    assert (folded.starts[at], folded.text) == (8, f"astolma{MASKED}b")


def test_plain_text_is_not_read_again() -> None:
    assert fold_masked("Who is it? She came. *Now* it is over, 2 * 3 = 6.") is None


@pytest.mark.parametrize("hostile", ["a*" * 50_000, "*a" * 50_000, "a" + "*" * 100_000, "_a b\n" * 20_000])
def test_hostile_text_is_read(hostile: str) -> None:
    assert _named(hostile) == []
