"""The words of the world: values of the attributes in six languages, countries, names of languages."""

import json
from collections.abc import Mapping
from pathlib import Path

LANGUAGES = ("en", "es", "de", "fr", "it", "zh")

_TABLES: Mapping[str, Mapping[str, list[str]]] = json.loads(
    (Path(__file__).parent / "vocabulary.json").read_text(encoding="utf-8")
)

VALUES: Mapping[str, Mapping[str, list[str]]] = {
    attribute: _TABLES[attribute] for attribute in ("birthplace", "occupation", "pet", "instrument", "food")
}
"""Attribute -> language -> words; the same index means the same thing in every language."""

COUNTRIES: Mapping[str, list[str]] = _TABLES["country"]
"""Language -> countries, in the order of the birthplaces that lie in them."""

LANGUAGE_NAMES: Mapping[str, list[str]] = _TABLES["language_names"]
"""Language -> names of all `LANGUAGES`, in their order, in that language."""

ATTRIBUTES = (*VALUES, "phone", "nickname", "mentor")
TWO_HOP_ATTRIBUTES = tuple(VALUES)


def full_stop(language: str) -> str:
    """The full stop of a language."""
    return "。" if language == "zh" else "."
