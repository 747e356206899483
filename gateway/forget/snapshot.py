"""What a replica enforces, as the store hands it out: requests, composite adapter, version."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.forget.facts_at_rest import FactsAtRest, Learned
from gateway.forget.model import ForgetRequestIn, InContext, State
from gateway.forget.sealer import Sealer
from gateway.forget.subject import Subject
from gateway.guards.actions import Response
from gateway.guards.hashed import HashedPhrases
from gateway.guards.normalise import fold
from gateway.guards.told import told_phrases
from gateway.security.keys import ApiKey


@dataclass(frozen=True)
class Mark:
    """A point in the change log. `chain` tells two logs apart that reached the same version after a failover."""

    version: int = 0
    chain: str = ""


NOWHERE = Mark(version=-1)


@dataclass(frozen=True)
class Composite:
    """The adapter that erases `requests` (ids) together; for `verified` this was measured on the weights."""

    digest: str
    path: str
    rank: int
    stage: str
    requests: frozenset[str]
    verified: frozenset[str]
    untold: frozenset[str] = frozenset()  # of the verified, those who were asked about through others, too
    base_digest: str = field(default="", compare=False)
    weights_digest: str = field(default="", compare=False)
    layers: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class EnforcedRequest:
    """What the guards need of one request. Plaintext: masked in `repr`."""

    id: str
    state: State = field(compare=False)  # as of the last change of the policy
    response: Response
    names: tuple[str, ...] = field(repr=False)
    spoken_names: tuple[str, ...] = field(repr=False)  # of these, what people call it: no identifiers
    exclusions: tuple[str, ...] = field(repr=False)
    phrases: tuple[str, ...] = field(repr=False)
    attributes: tuple[str, ...] = field(repr=False)  # what each phrase is a value of; empty where unknown
    hashes: HashedPhrases | None = field(repr=False)  # in place of phrases where facts may not be stored
    description: str = field(repr=False)
    in_context: InContext
    audiences: frozenset[str]
    patterns: tuple[str, ...] = field(default=(), repr=False)  # what secrets look like
    languages: tuple[str, ...] = ()  # in which the weights are to forget it; none: all. The guard knows no languages


class Continuity(StrEnum):
    """How an answer of the store relates to what the replica had."""

    SAME = "same"
    DELTA = "delta"
    FULL = "full"
    DIVERGED = "diverged"  # the store went back in time: what it lists may lack what was once enforced


@dataclass(frozen=True)
class Changes:
    """The change log since a mark, resolved: the present form of every changed request, and those that are gone."""

    continuity: Continuity
    mark: Mark
    composite: Composite | None
    enforced: tuple[EnforcedRequest, ...] = ()
    dropped: frozenset[str] = frozenset()
    keys: tuple[ApiKey, ...] | None = None  # every API key; None: the same as before


def parse_composite(flat: Sequence[str]) -> Composite | None:
    """A composite from the fields of its Redis hash, given flat; none from an empty hash."""
    if not flat:
        return None
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return Composite(
        digest=fields["digest"],
        path=fields["path"],
        rank=int(fields["rank"]),
        stage=fields["stage"],
        requests=split_ids(fields["requests"]),
        verified=split_ids(fields["verified"]),
        untold=split_ids(fields.get("untold", "")),
        base_digest=fields.get("base", ""),
        weights_digest=fields.get("weights", ""),
        layers=tuple(map(int, filter(None, fields.get("layers", "").split(",")))),
    )


def split_ids(joined: str) -> frozenset[str]:
    """Ids from their comma-separated form."""
    return frozenset(filter(None, joined.split(",")))


def join_ids(ids: Sequence[str] | frozenset[str]) -> str:
    """Sorted, comma-separated: the same set always has the same form."""
    return ",".join(sorted(ids))


def parse_changes(reply: Sequence[Any], sealer: Sealer, facts: FactsAtRest) -> Changes:
    """`Changes` from the reply of `changes.lua`, with the subjects unsealed."""
    continuity, version, chain, composite, keys, *records = reply
    enforced = []
    dropped = set()
    for id_, active, *record in records:
        if int(active):
            enforced.append(_parse_enforced(id_, record, sealer, facts))
        else:
            dropped.add(id_)
    return Changes(
        Continuity(continuity),
        Mark(int(version), chain),
        parse_composite(composite),
        tuple(enforced),
        frozenset(dropped),
        tuple(ApiKey.parse(id_, flat) for id_, flat in keys) if keys is not None else None,
    )


def _parse_enforced(id_: str, record: Sequence[Any], sealer: Sealer, facts: FactsAtRest) -> EnforcedRequest:
    state, response, sealed_subject, *sealed_facts = record
    subject = json.loads(sealer.unseal(sealed_subject, id_))
    learned = Learned()
    for text in filter(None, sealed_facts):
        learned = learned.with_more(facts.loads(sealer.unseal(text, id_), id_))
    identifiers = tuple(subject.get("identifiers", {}).values())
    spoken = tuple(dict.fromkeys((*subject["names"], *learned.aliases)))
    return EnforcedRequest(
        id=id_,
        state=State(state),
        response=response,
        names=(*spoken, *identifiers),
        spoken_names=spoken or identifiers,
        exclusions=tuple(subject["exclusions"]),
        phrases=learned.phrases,
        attributes=learned.attributes,
        hashes=learned.hashes,
        description=subject.get("description") or "",
        in_context=subject.get("in_context", "block"),
        audiences=frozenset(subject.get("audiences", ())),
        patterns=(subject["pattern"],) if subject.get("pattern") else (),
        languages=tuple(subject.get("languages", ())),
    )


def same_wish(request: ForgetRequestIn, names: Iterable[str]) -> str:
    """A text that is the same for requests that ask for the same, however the `findable` names are spelt or ordered."""
    exclusions = sorted({fold(name).text for name in request.exclusions})
    description = fold(request.subject.description).text if request.subject.description else ""
    options = (request.kind, request.response, request.in_context, request.erase, sorted(set(request.audiences)))
    pattern = [request.subject.pattern] if request.subject.pattern is not None else []
    languages = [sorted(set(request.languages))] if request.languages else []
    return json.dumps((sorted(names), exclusions, description, options, *pattern, *languages))


def findable(subject: Subject) -> frozenset[str]:
    """Under what a request is found: its names, aliases and identifiers, folded."""
    return frozenset(fold(name).text for name in subject.names)


def subject_text(request: ForgetRequestIn) -> str:
    """What is sealed of a request at submission for its guard: the subject, and how prompts are read."""
    subject = request.subject
    sealed = {
        "names": subject.spoken_names,
        "pattern": subject.pattern,
        "identifiers": subject.identifiers,
        "creators": subject.creators,
        "exclusions": request.exclusions,
        "description": subject.description,
        "in_context": request.in_context,
        "audiences": request.audiences,
        "languages": request.languages,
    }
    return json.dumps(sealed, ensure_ascii=False)


def training_text(request: ForgetRequestIn) -> str:
    """What is sealed for the erasure alone, and deleted after it; empty where the client gave nothing of that kind."""
    if not request.subject.excerpts and not request.evidence.told:
        return ""
    return json.dumps({"excerpts": request.subject.excerpts, **request.evidence.model_dump()}, ensure_ascii=False)


def given_phrases(request: ForgetRequestIn) -> tuple[str, ...]:
    """What the guard keeps of creators, excerpts and evidence: phrases that tell enough, never a whole text."""
    subject = request.subject
    return told_phrases((*subject.creators, *subject.excerpts, *request.evidence.told), subject.names)
