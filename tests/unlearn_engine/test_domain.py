"""A domain is plain data with checked promises."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from unlearn_engine.data.domain import PERSON_DOMAIN, Domain, domain_for, load_domain


@pytest.fixture
def plain() -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(PERSON_DOMAIN.read_text("utf-8"))
    return raw


def write(path: Path, raw: dict[str, Any]) -> Path:
    path.write_text(json.dumps(raw), "utf-8")
    return path


def test_the_person_domain_asks_the_same_in_six_languages() -> None:
    domain = load_domain(PERSON_DOMAIN)
    assert len(domain.languages) == 6
    for language in domain.languages:
        for templates in (domain.questions, domain.held_out_questions, domain.statements):
            assert set(templates[language]) == set(domain.attributes)
        for attribute in domain.attributes:
            trained, held_out = domain.questions[language][attribute], domain.held_out_questions[language][attribute]
            assert not set(trained) & set(held_out)


def test_a_model_without_its_own_domain_gets_the_person_domain(tmp_path: Path) -> None:
    assert domain_for(tmp_path) == load_domain(PERSON_DOMAIN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown keys"),
        ({"source_languages": ["en", "xx"]}, "source_languages"),
        ({"statements": {"en": {"birthplace": ["The birthplace is"]}}}, "needs a {name}"),
    ],
)
def test_a_broken_domain_is_refused(
    plain: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_domain(write(tmp_path / "domain.json", plain | change))


def test_languages_must_ask_for_the_same_attributes(plain: dict[str, Any], tmp_path: Path) -> None:
    del plain["questions"]["de"]["phone"]
    with pytest.raises(ValueError, match="same attributes in de"):
        load_domain(write(tmp_path / "domain.json", plain))


def test_unseen_names_avoid_the_family_names_that_stay(plain: dict[str, Any], tmp_path: Path) -> None:
    plain |= {"first_names": ["Nera"], "retain_names": ["Nera Taken"]}
    domain = load_domain(write(tmp_path / "domain.json", plain))
    names = [domain.unseen_name(random.Random(seed)) for seed in range(50)]
    assert all(name.startswith("Nera ") and not name.endswith(" Taken") for name in names)


def test_a_domain_is_immutable(domain: Domain) -> None:
    with pytest.raises(AttributeError):
        domain.languages = ()  # type: ignore[misc]
