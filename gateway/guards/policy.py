"""What is enforced right now: an immutable snapshot of the targets, compiled once and swapped by pointer."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal

from gateway.audience import withheld
from gateway.guards.actions import Response, strictest
from gateway.guards.answer_names import AnswerNames
from gateway.guards.descriptions import RECALL_BITS, DescriptionIndex
from gateway.guards.encoder import Encoder
from gateway.guards.hashed import HashedPhrases
from gateway.guards.layered import Layered
from gateway.guards.matcher import Match, NameMatcher
from gateway.guards.names_tables import CROWDED, NamesTable, merged, table_id
from gateway.guards.phrase_set import PhraseSet
from gateway.guards.stated import stated
from gateway.guards.together import grouped, together
from gateway.guards.told import UNCOMMON, Commonness, told_phrases
from gateway.guards.twins import rewrites, twin_for
from gateway.guards.withheld_patterns import WithheldPatterns
from gateway.guards.withholding import EVERYONE, NamesByAudience, names_by_audience

InContext = Literal["block", "allow"]

_BREATH_S = 1e-4  # between two stages of compiling: a chat request that waits for the interpreter gets it sooner


@dataclass(frozen=True, slots=True)
class Target:
    """One subject to be guarded. Names, exclusions, phrases and twins are kept out of its repr."""

    id: str
    names: tuple[str, ...] = field(repr=False)
    exclusions: tuple[str, ...] = field(default=(), repr=False)  # other people's names, never taken for this one
    response: Response = "ignorance"
    phrases: tuple[str, ...] = field(default=(), repr=False)  # facts that answers to guarded prompts may not state
    attributes: tuple[str, ...] = field(default=(), repr=False)  # what each phrase is a value of; empty if unknown
    twins: tuple[str, ...] = field(default=(), repr=False)  # never-seen names to ask about instead; made up if empty
    description: str = field(default="", repr=False)  # who it is, in words: to know it by where it is not named
    in_context: InContext = "block"  # whether answers may repeat facts that the prompt itself states
    audiences: frozenset[str] = EVERYONE  # from which callers it is withheld (gateway.audience)
    hashes: HashedPhrases | None = field(default=None, repr=False)  # more such facts, known by their hashes only
    patterns: tuple[str, ...] = field(default=(), repr=False)  # what no answer may match (gateway.guards.pattern)


@dataclass(frozen=True, slots=True)
class AdapterRef:
    """The composite adapter that belongs to a policy."""

    digest: str
    path: str
    rank: int
    untold: frozenset[str] = field(default=frozenset(), compare=False)  # of whom it tells nothing, nor through others


@dataclass(frozen=True)
class Policy:
    """A compiled snapshot. Read-only to everyone; make one with `compile_policy`."""

    version: int
    targets: Layered[Target] = field(repr=False)
    matcher: NameMatcher = field(repr=False)
    descriptions: DescriptionIndex = field(repr=False)
    adapter: AdapterRef | None
    patterns: WithheldPatterns = field(repr=False)
    _names: NamesByAudience = field(repr=False)
    _tables: Layered[NamesTable | Target] = field(repr=False)  # table id -> what it is made of
    _commonness: Commonness = field(repr=False)
    _twins: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _phrase_sets: dict[str, PhraseSet] = field(default_factory=dict, repr=False, compare=False)

    def examine(self, text: str) -> list[Match]:
        """Every mention of a target in a rendered prompt."""
        return self.matcher.find(text)

    def described(self, text: str, named: Set[str] = frozenset()) -> tuple[str, ...]:
        """Ids of the targets that a rendered prompt describes without having to name them.

        Some of those that are `named` anyhow are left out.
        """
        return tuple(found.target for found in self.descriptions.find(text, named))

    def examine_all(self, texts: Sequence[str]) -> list[tuple[list[Match], tuple[str, ...]]]:
        """Whom each of some rendered prompts names and describes; most are about nobody, which is found out at once."""
        return [found for group in grouped(texts) for found in self._examine_group(group)]

    def _examine_group(self, texts: Sequence[str]) -> Iterator[tuple[list[Match], tuple[str, ...]]]:
        named, described = [True], True
        if len(texts) > 1:
            whole, bounds = together(texts)
            places = sorted(self.matcher.suspicious(whole))
            named = [bisect_left(places, start) < bisect_left(places, end) for start, end in pairwise(bounds)]
            described = not self.descriptions.silent(whole)
        for text, suspicious in zip(texts, named, strict=True):
            matches = self.examine(text) if suspicious else []
            yield matches, self.described(text, {match.target for match in matches}) if described else ()

    def response(self, matches: Iterable[Match], described: Iterable[str] = ()) -> Response | None:
        """How to answer: the strictest of what the targets ask for, None where nobody is named or described."""
        return strictest(self.targets[id_].response for id_ in (*(match.target for match in matches), *described))

    def withholds(self, target_id: str, caller: frozenset[str]) -> bool:
        """Whether a target is guarded from a caller with these audiences."""
        return withheld(self.targets[target_id].audiences, caller)

    def may_be_told(self, caller: frozenset[str]) -> bool:
        """Whether anybody is withheld from a caller of whom the weights may tell when asked through somebody else."""
        return any(withheld(audiences, caller) for audiences in self._tellable)

    @cached_property
    def _tellable(self) -> tuple[frozenset[str], ...]:
        """The audiences from whom such people are withheld: every prompt asks, and many may be withheld."""
        untold = self.adapter.untold if self.adapter else frozenset()
        groups = self._names.items()
        return tuple(audiences for audiences, tables in groups if any(not one.members <= untold for one in tables))

    def twin(self, target_id: str) -> str:
        """The never-seen name that stands in for a target: the same on every replica, nobody else's."""
        target = self.targets[target_id]
        if target.twins:
            return target.twins[0]
        if target_id not in self._twins:
            known = self.matcher.find
            self._twins[target_id] = twin_for(target_id, next(iter(target.names), None), lambda name: bool(known(name)))
        return self._twins[target_id]

    def rewrites(self, text: str, matches: Sequence[Match], implied: Sequence[Match] = ()) -> dict[str, str]:
        """What an audit writes back into an answer about twins (`gateway.guards.twins`)."""
        return rewrites(text, matches, implied, lambda id_: self.targets[id_].names[0], self.twin)

    @property
    def names_tables(self) -> tuple[str, ...]:
        """Ids of the tables that a request of an unknown caller carries: together all names of all targets."""
        return self.names_withheld(EVERYONE)

    def names_withheld(self, caller: frozenset[str]) -> tuple[str, ...]:
        """Ids of the tables that every request of a caller with these audiences carries: the names withheld from it."""
        groups = (tables for audiences, tables in self._names.items() if withheld(audiences, caller))
        return tuple(dict.fromkeys(table.id for tables in groups for table in tables))

    def target_table(self, target_id: str) -> str:
        """Id of the table that guarded answers about a target carry: its names and facts."""
        return _target_table(self.targets[target_id])

    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Table id -> phrases, made when asked for. Ids are digests of what they are made of."""
        return _Tables(self._tables, self._commonness)

    def unstated(self, target_id: str, prompt: str) -> PhraseSet | None:
        """What of a target's table the prompt does not state itself; None where the whole table is to be forbidden."""
        target = self.targets[target_id]
        if target.in_context != "allow":
            return None
        phrases = told_phrases(target.phrases, target.names, self._commonness.weight)
        if not (repeatable := stated(phrases, prompt)):
            return None
        return PhraseSet((*target.names, *(phrase for phrase in phrases if phrase not in repeatable)))

    def hashed(self, target_id: str, prompt: str) -> HashedPhrases | None:
        """The hashed facts that answers about a target may not state, for the audit: no table can hold them."""
        target = self.targets[target_id]
        if target.hashes is None or target.in_context != "allow":
            return target.hashes
        return target.hashes.without_stated(prompt)

    def phrase_set(self, table_id: str) -> PhraseSet:
        """A table compiled for the output audit. Raises KeyError for an id that is not of this policy."""
        if table_id not in self._phrase_sets:
            self._phrase_sets[table_id] = PhraseSet(self.tables()[table_id])
        return self._phrase_sets[table_id]

    def answer_names(self, table_ids: Iterable[str]) -> AnswerNames:
        """Whose names answers may not tell in any form, for those of some tables that are of names."""
        tables = (table for id_ in table_ids if isinstance(table := self._tables[id_], NamesTable))
        return AnswerNames(self.matcher.segments, self.matcher.find, [table.members for table in tables])

    def with_changes(
        self,
        version: int,
        changed: Iterable[Target] = (),
        removed: Iterable[str] = (),
        adapter: AdapterRef | None = None,
    ) -> "Policy":
        """The snapshot with some targets more, others or fewer; those that stay are not looked at."""
        new = {target.id: target for target in changed}
        gone = {id_ for id_ in removed if id_ in self.targets and id_ not in new}
        renamed = {id_: target for id_, target in new.items() if _named(self.targets.get(id_)) != _named(target)}
        before = [known for id_ in gone.union(new) if (known := self.targets.get(id_))]
        targets = self.targets.with_changes(new, gone)
        made_of: dict[str, NamesTable | Target] = {_target_table(target): target for target in new.values()}
        tables = self._tables.with_changes(made_of, map(_target_table, before))
        matcher = self.matcher.with_changes(
            {id_: target.names for id_, target in renamed.items()},
            {id_: target.exclusions for id_, target in renamed.items() if target.exclusions},
            gone,
        )
        time.sleep(_BREATH_S)
        descriptions = self.descriptions.with_changes(new.values(), gone)
        time.sleep(_BREATH_S)
        names = names_by_audience(targets, self._names, frozenset(renamed), gone)
        commonness = self._commonness.with_changes(
            [target.phrases for target in new.values()], [target.phrases for target in before]
        )
        patterns = self.patterns.with_changes(new, gone)
        return self._followed_by(version, targets, matcher, descriptions, adapter, patterns, names, commonness, tables)

    @property
    def crowded(self) -> bool:
        """Whether so much has been added that `compacted` is worth its while."""
        return (
            any(len(tables) > CROWDED for tables in self._names.values())
            or self.matcher.crowded
            or self.descriptions.crowded
        )

    def compacted(self) -> "Policy":
        """The same snapshot, quicker to search. Takes a moment where there are very many targets."""
        matcher = self.matcher.compacted() if self.matcher.crowded else self.matcher
        descriptions = self.descriptions.compacted() if self.descriptions.crowded else self.descriptions
        names = {audiences: merged(self.targets, tables) for audiences, tables in self._names.items()}
        return self._followed_by(
            self.version,
            self.targets,
            matcher,
            descriptions,
            self.adapter,
            self.patterns,
            names,
            self._commonness,
            self._tables,
        )

    def _followed_by(
        self,
        version: int,
        targets: Layered[Target],
        matcher: NameMatcher,
        descriptions: DescriptionIndex,
        adapter: AdapterRef | None,
        patterns: WithheldPatterns,
        names: NamesByAudience,
        commonness: Commonness,
        tables: Layered[NamesTable | Target],
    ) -> "Policy":
        """The next snapshot; the tables of names take their place among the `tables`, compiled for the audit."""
        stale = (table.id for before in self._names.values() for table in before)
        now = {table.id: table for tables_of_names in names.values() for table in tables_of_names}
        tables = tables.with_changes(now, stale)
        policy = Policy(version, targets, matcher, descriptions, adapter, patterns, names, tables, commonness)
        # Copied first: requests in flight may add to it from another thread.
        policy._phrase_sets.update((id_, known) for id_, known in dict(self._phrase_sets).items() if id_ in tables)
        for id_ in now:
            policy.phrase_set(id_)
        return policy


class _Tables(Mapping[str, tuple[str, ...]]):
    """Phrases by table id; those of a target are derived each time, since they take more memory than its facts."""

    def __init__(self, made_of: Layered[NamesTable | Target], commonness: Commonness) -> None:
        self._made_of = made_of
        self._commonness = commonness

    def __getitem__(self, table_id: str) -> tuple[str, ...]:
        table = self._made_of[table_id]
        if isinstance(table, NamesTable):
            return table.names
        phrases = told_phrases(table.phrases, table.names, self._commonness.weight)
        return tuple(sorted({*table.names, *phrases}))

    def keys(self) -> KeysView[str]:
        """Those that are quick to compare with others."""
        return self._made_of.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self._made_of)

    def __len__(self) -> int:
        return len(self._made_of)


def compile_policy(
    version: int,
    targets: Mapping[str, Target],
    adapter: AdapterRef | None = None,
    previous: Policy | None = None,
    encoder: Encoder | None = None,
    least_bits: float = RECALL_BITS,
) -> Policy:
    """Compile a snapshot. With `previous`, unchanged targets (the same objects) are not compiled again.

    Who knows what has changed asks `Policy.with_changes`, which does not look at the others. `encoder` finds facts
    that are told in other words, `least_bits` is what a description must state; those of `previous` stay.
    """
    before = previous or _nobody(encoder, least_bits)
    known = map(before.targets.get, targets)
    changed = [target for target, old in zip(targets.values(), known, strict=True) if target is not old]
    return before.with_changes(version, changed, before.targets.keys() - targets.keys(), adapter)


def _nobody(encoder: Encoder | None, least_bits: float) -> Policy:
    matcher, descriptions = NameMatcher({}), DescriptionIndex(encoder=encoder, least_bits=least_bits)
    nobody = Policy(0, Layered({}), matcher, descriptions, None, WithheldPatterns(), {}, Layered({}), UNCOMMON)
    return nobody.with_changes(0)


def _named(target: Target | None) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]] | None:
    return (target.names, target.exclusions, target.audiences) if target else None


def _target_table(target: Target) -> str:
    return table_id("target", target.id, *sorted({*target.names, *target.phrases}))
