"""What is done with a request: its rendered prompt is examined, and the engine gets what the policy makes of it."""

# mypy: allow-subclassing-any, no-warn-return-any
# (vLLM is left out of type checking, so its classes are Any)

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from vllm import SamplingParams
from vllm.inputs.engine import TokensInput, tokens_input

from gateway.audience import audiences
from gateway.guards.answer_names import CONTEXT
from gateway.guards.audit import Audit
from gateway.guards.clause import clause
from gateway.guards.hashed import HashedPhrases
from gateway.guards.instruction import instruction
from gateway.guards.matcher import Match
from gateway.guards.normalise import BARRIER
from gateway.guards.pattern_audit import PatternAudit
from gateway.guards.pattern_set import NO_PATTERNS, PatternSet
from gateway.guards.phrase_set import PhraseSet
from gateway.guards.policy import Policy
from gateway.guards.relations import Chain, chains
from gateway.guards.response import ignorance_text, language, refusal
from gateway.guards.rewriting import Rewriting, rewriting
from gateway.guards.tokens import TokenTable, TokenText
from gateway.serving.answers import engine_kind
from gateway.serving.chat_format import ChatFormat
from gateway.serving.embeddings import Embeddings
from gateway.serving.fields import tool_forced
from gateway.serving.logits_guard import END_KEY, TABLES_KEY
from gateway.serving.observer import Decision

Phrases = PhraseSet | HashedPhrases

ENCODED_TWINS = 1024  # kept: who is guarded should not be told by the time that a tokenizer takes


@dataclass(frozen=True)
class Request:
    """What vLLM's serving layer asks of the engine, already vetted."""

    prompt: TokensInput
    params: SamplingParams
    id: str
    options: Mapping[str, Any]
    caller: frozenset[str] = field(default_factory=audiences.get)
    tool_forced: bool = field(default_factory=tool_forced.get)


@dataclass(frozen=True)
class Plan:
    """What is done with a request: a canned text, or a prompt for the engine with its tables and rewrites.

    `forbidden` is for the audit alone: what is known by its hashes, and tables of which the prompt states a part. With
    `rewriting`, what the engine says is a draft. `patterns` are for the audit, too; `stated` is the prompt where one of
    them may be repeated from it.
    """

    decision: Decision
    prompt: TokensInput
    tables: tuple[str, ...] = ()
    forbidden: tuple[Phrases, ...] = ()
    rewrites: Mapping[str, str] = field(default_factory=dict)
    canned: str | None = None
    rewriting: Rewriting | None = None
    patterns: PatternSet = NO_PATTERNS
    stated: str = ""
    subjects: frozenset[str] = frozenset()  # whom the prompt asks about
    names_tables: tuple[str, ...] = ()  # those of the tables that have names only
    asked: str = ""  # the end of the prompt, whose language the answer may be in

    def audited(self, audit: Audit) -> Audit:
        """An audit of its answers that looks for the patterns, too."""
        return PatternAudit(audit, self.patterns, self.stated) if self.patterns else audit


@dataclass(frozen=True)
class Reading:
    """What a rendered prompt says of the targets that are withheld from its caller."""

    decoded: TokenText
    matches: list[Match]
    described: list[str]
    chains: list[Chain]  # relations, of which the model has to say to whom they lead

    @property
    def subjects(self) -> frozenset[str]:
        """Ids of the targets that are named or described."""
        return frozenset((*(match.target for match in self.matches), *self.described))


class Planner:
    """Makes the plan of a request.

    Args:
        table: bytes of the engine's vocabulary.
        embeddings: corrupts the names of targets in prompts for `ignorance`; without it, and for actions that speak of
            the subject, a twin's name is put in their place.
        hops: whether relations are looked for.
        end: the token by which the logits guard ends an answer that is about to say a name; None: it says another.
    """

    def __init__(
        self,
        table: TokenTable,
        tokenizer: Any,
        max_model_len: int,
        embeddings: Embeddings | None,
        hops: bool,
        end: int | None = None,
    ) -> None:
        self._table = table
        self._tokenizer = tokenizer
        self._max_model_len = max_model_len
        self._embeddings = embeddings
        self._hops = hops
        self.end = end
        self._encode = lru_cache(maxsize=ENCODED_TWINS)(self._encoded)
        self.chat = ChatFormat(tokenizer)
        language("")  # loads its model now, not in the first request

    def text(self, request: Request) -> str:
        """The rendered prompt."""
        return self._table.text(request.prompt["prompt_token_ids"]).text

    def read_all(self, requests: Sequence[Request], policy: Policy) -> list[Reading]:
        """Examine some prompts: that most are about nobody is found out for many of them at once."""
        texts = [self._table.text(request.prompt["prompt_token_ids"]) for request in requests]
        found = policy.examine_all([decoded.text for decoded in texts])
        return [
            self._reading(request, decoded, policy, *meant)
            for request, decoded, meant in zip(requests, texts, found, strict=True)
        ]

    def _reading(
        self, request: Request, decoded: TokenText, policy: Policy, named: Sequence[Match], meant: Sequence[str]
    ) -> Reading:
        """What concerns the caller of that, and the relations of the prompt.

        These are looked for where they could change the plan: not where the weights tell nothing of anybody who is
        withheld from the caller.
        """
        matches = [match for match in named if policy.withholds(match.target, request.caller)]
        described = [target for target in meant if policy.withholds(target, request.caller)]
        follow = self._hops and policy.response(matches, described) != "refuse" and policy.may_be_told(request.caller)
        return Reading(decoded, matches, described, chains(decoded.text) if follow else [])

    def plan(self, request: Request, policy: Policy, reading: Reading, implied: Sequence[Match] = ()) -> Plan:
        """Choose. `implied` are targets whom a relation in the prompt means, with the phrases that do."""
        decoded, described = reading.decoded, reading.described
        matches = [*reading.matches, *implied]
        names_tables = policy.names_withheld(request.caller)
        patterns = policy.patterns.withheld(request.caller)
        stated = decoded.text if patterns.reads_prompts else ""
        asked = decoded.text[-CONTEXT:].replace(BARRIER, "\n") + "\n"
        action = policy.response(matches, described)
        if action is None:
            return Plan("pass", request.prompt, names_tables, patterns=patterns, stated=stated, asked=asked)
        if action == "refuse":
            return Plan("refuse", request.prompt, canned=refusal(_language(decoded.text, matches)))
        about = dict.fromkeys((*(match.target for match in matches), *described))
        hashes = (policy.hashed(target, decoded.text) for target in about)
        unstated = {target: policy.unstated(target, decoded.text) for target in about}
        plan = Plan(
            "ignorance" if matches else "described",
            request.prompt,
            (*names_tables, *(policy.target_table(target) for target in about if unstated[target] is None)),
            tuple(phrases for phrases in (*unstated.values(), *hashes) if phrases is not None),
            patterns=patterns,
            stated=stated,
            subjects=frozenset(about),
            names_tables=names_tables,
            asked=asked,
        )
        if matches and action == "ignorance" and self._embeddings is not None:
            return replace(plan, prompt=self._embeddings.corrupted(plan.prompt, decoded, matches))
        if matches:
            plan = self._with_twins(plan, policy, reading, implied)
        return plan if action == "ignorance" or plan.canned else self._as_asked(plan, action, policy, decoded, matches)

    def _as_asked(
        self,
        plan: Plan,
        action: Literal["rewrite", "clause", "instruct"],
        policy: Policy,
        decoded: TokenText,
        matches: list[Match],
    ) -> Plan:
        """A plan of `ignorance` with what another action adds to it."""
        twins = list(dict.fromkeys(policy.twin(match.target) for match in matches))
        spoken = _language(decoded.text, matches)
        if action == "rewrite":
            return replace(plan, decision=action, rewriting=rewriting(twins, tuple(plan.rewrites), spoken))
        added = clause(twins, spoken) if action == "clause" else instruction(twins, spoken)
        ids = self.chat.with_added(plan.prompt["prompt_token_ids"], decoded.text, added)
        if ids is None or not self.fits(ids):
            return plan  # that of `ignorance`: the text finds no place
        return replace(plan, decision=action, prompt=tokens_input(ids, cache_salt=plan.prompt.get("cache_salt")))

    def fits(self, ids: Sequence[int]) -> bool:
        """Whether the engine can take these tokens and add one."""
        return len(ids) < self._max_model_len

    def _with_twins(self, plan: Plan, policy: Policy, reading: Reading, implied: Sequence[Match]) -> Plan:
        """Ask about never-seen twins instead; the audit writes names and phrases back into the answer."""
        decoded, matches = reading.decoded, [*reading.matches, *implied]
        twins = {match.target: policy.twin(match.target) for match in matches}
        ids = self._table.substitute(plan.prompt["prompt_token_ids"], matches, twins, self._encode)
        if not self.fits(ids):
            return Plan("ignorance", plan.prompt, canned=ignorance_text(_language(decoded.text, matches)))
        changed = tokens_input(ids, cache_salt=plan.prompt.get("cache_salt"))
        return replace(plan, prompt=changed, rewrites=policy.rewrites(decoded.text, reading.matches, implied))

    def parameters(self, asked: SamplingParams, plan: Plan) -> SamplingParams:
        """The request's parameters with our tables as the only extra arguments."""
        params = copy.copy(asked)
        params.extra_args = {TABLES_KEY: list(plan.tables)}
        if plan.decision != "off":
            params.output_kind = engine_kind(asked)
            if plan.rewriting is None and self.end is not None:
                params.extra_args[END_KEY] = self.end
                params.stop_token_ids = [*(asked.stop_token_ids or ()), self.end]
            if params.allowed_token_ids or params.structured_outputs is not None:
                # Where all that is allowed is forbidden, the guard ends the answer by the token that would be ignored.
                params.ignore_eos = False
        if params.max_tokens is not None:
            room = self._max_model_len - len(plan.prompt["prompt_token_ids"])
            params.max_tokens = max(1, min(params.max_tokens, room))
        return params

    def _encoded(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))


def _language(text: str, matches: list[Match]) -> str:
    """The language of a prompt; the names are left out, which look like some other language than the words around."""
    at, around = 0, []
    for match in sorted(matches):
        around.append(text[at : match.start])
        at = max(at, match.end)
    return language("".join([*around, text[at:]]))
