"""Each value of the demonstration in other words than those that a guard knows: what is said of people besides."""

import json
from collections.abc import Mapping
from pathlib import Path

OTHER_WORDS: Mapping[str, Mapping[str, list[str]]] = json.loads(
    (Path(__file__).parent / "other_words.json").read_text("utf-8")
)
"""Language -> attribute -> a clause that fits behind "the person who", for each of `VALUES[attribute][language]`."""
