"""Whom or what a request is about, and what the client knows of it. Write-only: masked in `repr` and in errors."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.guards.normalise import fold
from gateway.guards.pattern_set import checked
from gateway.guards.words import surprisal, words

MIN_LETTERS = 2
MIN_BITS = 8.0  # of surprisal: more ordinary are the, and, is, it, you, what, but not who, may, will
MIN_IDENTIFIER_LETTERS = 6  # a shorter one is a year or somebody else's number
MAX_TEXT = 20_000


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in fold(text).text)


def _recognisable(text: str) -> str:
    """A name that folds to a single letter, or to none, would match everything or nothing; so would "the"."""
    if _letters(text) < MIN_LETTERS:
        raise ValueError(f"needs at least {MIN_LETTERS} letters or digits")
    if len(text.split()) == 1 and sum(map(surprisal, words(text))) < MIN_BITS:
        raise ValueError("is a word of nearly every text, and all of them would be guarded: give more of the name")
    return text


def _identifying(text: str) -> str:
    if _letters(text) < MIN_IDENTIFIER_LETTERS:
        raise ValueError(f"needs at least {MIN_IDENTIFIER_LETTERS} letters or digits: a shorter one would match others")
    return text


def _secretive(expression: str) -> str:
    checked(expression)
    return expression


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_recognisable)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_identifying)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_secretive)]
IdentifierType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]


class Hidden(BaseModel):
    """What no log, error or `repr` may show."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, json_schema_extra={"writeOnly": True}
    )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    def __str__(self) -> str:
        return repr(self)


class Subject(Hidden):
    """Whom or what to forget. Write-only: no answer shows it but that of a search with the scope to reveal."""

    name: Name | None = Field(None, description="full name of a person, a topic or a skill")
    title: Name | None = Field(None, description="title of a work")
    value: Name | None = Field(None, description="the secret itself")
    pattern: Pattern | None = Field(
        None,
        description="what secrets look like: a regular expression of literals, escapes, classes ([A-Z0-9], \\d, \\w, "
        "\\s), groups, alternatives and repeats, matched anywhere in answers, whatever the case; nothing shorter than "
        "6 characters, no ordinary words",
        examples=["sk-live-[A-Za-z0-9]{24,40}"],
    )
    aliases: list[Name] = Field(default_factory=list, max_length=32, description="other names of the same subject")
    description: str | None = Field(None, max_length=2000, description="who or what it is: known by it where not named")
    identifiers: dict[IdentifierType, Identifier] = Field(
        default_factory=dict,
        max_length=16,
        description="e-mail address, customer number, telephone by type: guarded like names, enough without one",
        examples=[{"email": "ivo.marlin@example.org"}],
    )
    creators: list[Name] = Field(
        default_factory=list, max_length=16, description="who made the work: not told in answers about it"
    )
    excerpts: list[Text] = Field(
        default_factory=list, max_length=16, description="passages of the work: not told, and the work is known by them"
    )

    @model_validator(mode="after")
    def _one_designation(self) -> Self:
        given = sum(given is not None for given in (self.name, self.title, self.value, self.pattern))
        if given > 1 or (not given and not self.identifiers):
            raise ValueError(
                "give exactly one of name, title (a work), value or pattern (of secrets), or identifiers alone"
            )
        if (self.creators or self.excerpts) and self.title is None:
            raise ValueError("creators and excerpts belong to a title")
        return self

    @property
    def spoken_names(self) -> tuple[str, ...]:
        """What people call it, the main name first; none of a person known by identifiers only."""
        main = self.name or self.title or self.value
        return (*([main] if main is not None else []), *self.aliases)

    @property
    def names(self) -> tuple[str, ...]:
        """Every designation that is guarded, the main one first."""
        return tuple(dict.fromkeys((*self.spoken_names, *self.identifiers.values())))


class Example(Hidden):
    """A prompt, and what the model must not answer."""

    prompt: Text
    completion: Text


class Evidence(Hidden):
    """What is to be forgotten, as far as the client knows. Kept only as long as the erasure needs it."""

    documents: list[Text] = Field(default_factory=list, max_length=16, description="texts that tell it")
    examples: list[Example] = Field(default_factory=list, max_length=64)

    @property
    def told(self) -> tuple[str, ...]:
        """The texts that tell what is to be forgotten."""
        return (*(example.completion for example in self.examples), *self.documents)
