"""Names in the cases and with the suffixes of languages that bend them."""

import pytest

from gateway.guards.endings import SURE, WEAK, endings
from gateway.guards.matcher import NameMatcher
from gateway.guards.normalise import BARRIER

POLISH, CZECH, RUSSIAN = "Opowiedz mi, kiedy {} był w Pradze.", "Řekni mi, kde žil {}.", "Где родился {}?"
FINNISH, HUNGARIAN, TURKISH = "Kerro minulle, missä {} syntyi.", "Mondd el, hol született {}.", "{} nerede doğdu?"


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("Rabo Kelrin", POLISH, "Raba Kelrina"),
        ("Rabo Kelrin", POLISH, "Rabo Kelrinowi"),
        ("Marek Kelrin", CZECH, "Marka Kelrina"),  # a vowel that goes
        ("Pavel Trsek", CZECH, "Pavlem Trskem"),
        ("Rabo Kelrinen", FINNISH, "Rabo Kelrisestä"),
        ("Rabo Kelrin", FINNISH, "Rabo Kelriniltä"),
        ("Rabo Kelrin", HUNGARIAN, "Rabo Kelrinnel"),
        ("Kelri Anna", HUNGARIAN, "Kelri Annának"),
        ("Rabo Kelrin", TURKISH, "Rabo Kelrinin"),
        ("Rabo Kelrik", TURKISH, "Rabo Kelriğe"),
        ("Раб Келринский", RUSSIAN, "Раба Келринского"),
        ("Игорь Келрин", RUSSIAN, "Игорем Келриным"),
        ("Ράμπος Κελρίνης", "Πού γεννήθηκε ο {};", "Ράμπου Κελρίνη"),
        ("رابو كلرين", "أين ولد و{}؟", "رابو كلرين"),  # "and" is written on to it
        ("ראבו כלרין", "איפה נולד ש{}?", "ראבו כלרין"),
        ("Rabo Tomas Kelrin", POLISH, "Raba Tomasa Kelrina"),
        ("Rabo Kelrin", POLISH, "Kelrina Raba"),
    ],
)
def test_cases_of_a_name_are_matched(name: str, text: str, written: str) -> None:
    asked = BARRIER + text.format(written) + BARRIER
    found = NameMatcher({"a": [name]}).find(asked)
    assert [(match.target, asked[match.start : match.end]) for match in found] == [("a", written)]


@pytest.mark.parametrize(
    "text",
    [
        "Kto to jest Rabo Pelrina?",  # not the name
        "Kto to jest Rabo Kelrinowski?",  # no case
        "Kto to jest Rabo? Tomasa Kelrina widziano.",  # somebody else's first name
    ],
)
def test_other_names_are_not_matched(text: str) -> None:
    assert NameMatcher({"a": ["Rabo Kelrin"]}).find(text) == []


def test_a_first_name_that_becomes_another_is_somebody_elses_where_names_are_not_bent() -> None:
    matcher = NameMatcher({"a": ["Maria Kelrin"]})
    assert not matcher.find("Who is Mario Kelrin?")
    assert matcher.find("Kto widział Marii Kelrin?")


def test_targets_that_are_added_removed_and_put_together_keep_their_names() -> None:
    matcher = NameMatcher({"a": ["Rabo Kelrin"], "b": ["Tibo Selrin"]})
    matcher = matcher.with_changes({"c": ["Dubo Melrin"]}, removed=["a"]).compacted()
    text = POLISH.format("Raba Kelrina, Tiba Selrina, Duba Melrina")
    assert {match.target for match in matcher.find(text)} == {"b", "c"}


def test_rules_hold_nothing_that_ending_and_case_share() -> None:
    assert all(not ending or not case or ending[0] != case[0] for ending, case in endings())
    assert endings()["", "a"] == WEAK
    assert endings()["nen", "selle"] == SURE
