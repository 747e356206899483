"""An instance of a client's JSON schema that says a given sentence and nothing else."""

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 16
MAX_VALUES = 1000
_SAY_NOTHING = frozenset(
    ["$schema", "$id", "$defs", "$comment", "definitions", "title", "description", "default", "examples", "strict"]
)
_EMPTY = {"integer": 0, "number": 0, "boolean": False, "null": None}


class NoInstance(Exception):
    """The schema asks for more than this construction knows, or leaves no room for the sentence."""


def instance(schema: Any, sentence: str) -> Any:
    """A value that meets `schema`, with `sentence` in its first free string; other values are absent, empty or first.

    It knows what OpenAI's strict mode began with (objects, arrays, references, unions, enumerations, plain values);
    bounds, patterns and conditions are given up, so that a hostile schema costs at most `MAX_VALUES` steps.

    Raises:
        NoInstance: there is none that this finds.
    """
    making = _Making(schema, sentence)
    value = making.value(schema, 0)
    if not making.said:
        raise NoInstance
    return value


class _Making:
    def __init__(self, root: Any, sentence: str) -> None:
        self._root = root
        self._sentence = sentence
        self._values = 0
        self.said = False

    def value(self, schema: Any, depth: int) -> Any:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES or not isinstance(schema, Mapping):
            raise NoInstance
        asked = {key: wanted for key, wanted in schema.items() if key not in _SAY_NOTHING}
        match asked:
            case {"$ref": str(reference), **others} if not others:
                return self.value(self._referred(reference), depth + 1)
            case {"anyOf": [first, *options], **others} if not others:
                return None if self.said and {"type": "null"} in options else self.value(first, depth + 1)
            case {"const": fixed, **others} | {"enum": [fixed, *_], **others} if not others.keys() - {"type"}:
                return fixed
            case {"type": [kind, *_], **others} | {"type": kind, **others}:
                return self._of_kind(kind, others, depth)
            case {"properties": _, **_rest}:
                return self._object(asked, depth)
        if asked:
            raise NoInstance
        return self._string()

    def _of_kind(self, kind: Any, asked: Mapping[str, Any], depth: int) -> Any:
        match kind:
            case "object":
                return self._object(asked, depth)
            case "array" if asked.keys() <= {"items"}:
                return [] if self.said else [self.value(asked.get("items", {}), depth + 1)]
            case "string" if not asked:
                return self._string()
            case str() if kind in _EMPTY and not asked:
                return _EMPTY[kind]
        raise NoInstance

    def _string(self) -> str:
        if self.said:
            return ""
        self.said = True
        return self._sentence

    def _object(self, asked: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties, required = asked.get("properties", {}), asked.get("required", [])
        known = {"properties", "required", "additionalProperties"}
        if not (asked.keys() <= known and isinstance(properties, Mapping) and isinstance(required, list)):
            raise NoInstance
        if any(name not in properties for name in required):
            raise NoInstance
        return {name: self.value(of, depth + 1) for name, of in properties.items()}

    def _referred(self, reference: str) -> Any:
        found = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            if not isinstance(found, Mapping) or part not in found:
                raise NoInstance
            found = found[part]
        return found
