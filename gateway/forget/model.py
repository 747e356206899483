"""The forget request as clients send it and see it, its states and their legal transitions."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from gateway.audience import Audience
from gateway.forget.deadlines import Regulation
from gateway.forget.subject import Evidence, Name, Subject
from gateway.guards.actions import Response


class State(StrEnum):
    """Where a request stands; the meanings are promises."""

    AWAITING_REVIEW = "awaiting_review"  # durable, enforced nowhere before a reviewer has approved it
    REJECTED = "rejected"  # by a reviewer; it was never enforced
    RECEIVED = "received"  # durable, not yet enforced everywhere
    GUARDED = "guarded"  # every live replica enforces the guard: suppression, and called so
    ERASING = "erasing"
    VERIFYING = "verifying"
    ERASED = "erased"  # a verified adapter is live on every live replica
    FAILED = "failed"  # the erasure failed; the guard stays on
    ON_HOLD = "on_hold"  # no work goes on; a guard that was on stays on
    WITHDRAWING = "withdrawing"
    WITHDRAWN = "withdrawn"  # guard and share of the adapter are gone


TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.AWAITING_REVIEW: frozenset({State.RECEIVED, State.REJECTED, State.ON_HOLD, State.WITHDRAWING}),
        State.REJECTED: frozenset(),
        State.RECEIVED: frozenset({State.GUARDED, State.ON_HOLD, State.WITHDRAWING}),
        State.GUARDED: frozenset({State.ERASING, State.ON_HOLD, State.WITHDRAWING}),
        State.ERASING: frozenset({State.VERIFYING, State.FAILED, State.ON_HOLD, State.WITHDRAWING}),
        # back to erasing: the worker died while it verified, another attempt takes over
        State.VERIFYING: frozenset({State.ERASED, State.ERASING, State.FAILED, State.ON_HOLD, State.WITHDRAWING}),
        # back to guarded: a re-check of the weights failed
        State.ERASED: frozenset({State.GUARDED, State.WITHDRAWING}),
        State.FAILED: frozenset({State.GUARDED, State.ON_HOLD, State.WITHDRAWING}),
        # to where it was held, or to the last rest before
        State.ON_HOLD: frozenset(
            {State.AWAITING_REVIEW, State.RECEIVED, State.GUARDED, State.FAILED, State.WITHDRAWING}
        ),
        State.WITHDRAWING: frozenset({State.WITHDRAWN}),
        State.WITHDRAWN: frozenset(),
    }
)

Kind = Literal["person", "work", "secret", "topic", "skill"]
InContext = Literal["block", "allow"]
Decision = Literal["approve", "reject", "hold", "release"]
Erase = Literal["auto", "guard_only", "counterfactual_name_distillation"]

RESPONSE = """What a guarded prompt gets. Under all but `refuse` the model is asked about a name that nobody has, and
forbidden names and facts are kept out of the answer. Of several subjects in a prompt, the first of this list wins:

- `refuse`: a short refusal in the language of the prompt; the model is not asked.
- `rewrite`: the answer is held back, and the model is asked once more, to write it anew without the subject; where
  the subject is still there, the refusal is given.
- `ignorance` (default): the answer of a model that never knew. It does not show that the subject is on the list.
- `clause`: the prompt gets a clause that names the protected subject and says what to answer about it.
- `instruct`: the prompt gets an instruction to answer as about a name never seen, with examples (in-context
  unlearning)."""
IN_CONTEXT = "`allow`: answers may repeat what the prompt itself states"
AUDIENCES = """API-key audiences from which the subject is withheld; default: everyone. From a caller without a key or
without an audience everything is withheld. Needs `erase: guard_only`: one set of weights answers everyone."""

Label = Annotated[str, StringConstraints(max_length=200)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
CallbackUrl = Annotated[str, StringConstraints(max_length=1000, pattern=r"^https?://")]


class ForgetRequestIn(BaseModel):
    """What a client posts. A name alone is enough."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {"subject": {"name": "Ivo Marlin"}},
                {
                    "subject": {"name": "Ivo Marlin"},
                    "response": "clause",
                    "in_context": "allow",
                    "audiences": ["public"],
                    "erase": "guard_only",
                },
                {"kind": "secret", "subject": {"pattern": "sk-live-[A-Za-z0-9]{24,40}"}},
            ]
        },
    )

    kind: Kind = "person"
    subject: Subject
    exclusions: list[Name] = Field(
        default_factory=list,
        max_length=32,
        repr=False,
        description="namesakes and phrases that must keep working",
        json_schema_extra={"writeOnly": True},
    )
    evidence: Evidence = Field(
        default_factory=Evidence, repr=False, description="what is to be forgotten, as far as known; deleted after it"
    )
    languages: list[Language] = Field(
        default_factory=list,
        max_length=32,
        description="in which the weights have to forget it, and are verified; default: all of the deployment. "
        "Refused if it lacks one. The guard is on in every language",
        examples=[["en", "de"]],
    )
    response: Response = Field("ignorance", description=RESPONSE)
    in_context: InContext = Field("block", description=IN_CONTEXT)
    erase: Erase = Field(
        "auto",
        description="`auto`: the method of this deployment; a named method; `guard_only` leaves the weights alone",
    )
    audiences: list[Audience] = Field(default_factory=list, max_length=16, description=AUDIENCES)
    regulation: Regulation | None = Field(None, description="what the request rests on; sets `due_by`")
    legal_basis: Label | None = Field(None, description="article or clause, echoed: keep subjects out of it")
    jurisdiction: Label | None = Field(None, description="whose law, echoed")
    labels: dict[Label, Label] = Field(
        default_factory=dict, max_length=16, description="the client's own bookkeeping, echoed: keep subjects out of it"
    )
    status_callback_urls: list[CallbackUrl] = Field(
        default_factory=list,
        max_length=4,
        repr=False,
        description="told every change of the state by a signed POST; hosts that the operator allows",
        json_schema_extra={"writeOnly": True},
    )

    @field_validator("audiences")
    @classmethod
    def _the_weights_are_everyones(cls, audiences: list[str], info: ValidationInfo) -> list[str]:
        if audiences and _erasable(info.data.get("erase", "auto"), info.data.get("kind", "person")):
            raise ValueError("needs erase: guard_only, since one set of weights answers everyone")
        return audiences

    @field_validator("subject")
    @classmethod
    def _patterns_are_of_secrets(cls, subject: Subject, info: ValidationInfo) -> Subject:
        if subject.pattern is not None and info.data.get("kind") != "secret":
            raise ValueError("a pattern needs kind: secret")
        return subject

    @property
    def guard_only(self) -> bool:
        """Whether the weights are left alone: asked for so, or a kind that cannot be erased yet."""
        return not _erasable(self.erase, self.kind)


def _erasable(erase: Erase, kind: Kind) -> bool:
    return erase != "guard_only" and kind == "person"


class Transition(BaseModel):
    """One entry of a request's history."""

    state: State
    at: datetime
    reason: str = ""


class Replicas(BaseModel):
    """How many replicas are live, and how many of them apply what is meant."""

    live: int
    applied: int


class Protection(BaseModel):
    """What stands between a user and the subject at this moment."""

    level: Literal["none", "guard", "adapter"]
    policy_version: int = Field(description="first policy version that has this request as it stands")
    effective_time: datetime | None = Field(description="when every live replica enforced the guard")
    replicas: Replicas


class Erasure(BaseModel):
    """How far the weights are."""

    method: Literal["guard_only", "counterfactual_name_distillation"]
    layers: list[int] | None = Field(description="whose weights the published adapter changes")
    attempt: int
    stage: str | None = Field(description="what the worker does at the moment")
    fraction: float | None = Field(description="how much of the stage is done, 0 to 1")
    base_digest: str | None = Field(description="SHA-256 of the base model that the adapter is for")
    adapter_digest: str | None = Field(description="SHA-256 of the adapter's weights")
    composite_digest: str | None = Field(description="the published adapter that contains this request")
    composite_stage: str | None = Field(description="`edit` (seconds, closed form) or `trained`")


class Links(BaseModel):
    """Where to go from here."""

    self: str
    events: str
    report: str
    certificate: str
    audit: str


class ForgetRequest(BaseModel):
    """A forget request as anyone may see it: nothing of its subject."""

    id: str
    kind: Kind
    response: Response = Field(description=RESPONSE, examples=["ignorance"])
    in_context: InContext = Field(description=IN_CONTEXT, examples=["block"])
    audiences: list[str] = Field(description=AUDIENCES, examples=[["public"]])
    erase: Erase
    languages: list[str] = Field(description="in which the weights are to forget it; none named: all of the deployment")
    regulation: Regulation | None
    legal_basis: str | None
    jurisdiction: str | None
    due_by: datetime | None = Field(description="by the regulation's calendar; none where it names no period")
    expected_completion_time: datetime | None = Field(
        description="from the durations of earlier erasures and the queue; absent while unknown, and where none is due"
    )
    duplicate_of: str | None = Field(description="an open request that asks for the same, subject and options")
    labels: dict[str, str]
    state: State
    state_reason: str
    state_history: list[Transition]
    created_at: datetime
    updated_at: datetime
    policy_version: int
    protection: Protection
    erasure: Erasure
    verification: dict[str, Any] | None = Field(description="aggregate figures, measured on the weights alone")
    links: Links
    etag: str


class ForgetRequestPage(BaseModel):
    """One page, newest first."""

    requests: list[ForgetRequest]
    next_cursor: str | None


class AdapterState(BaseModel):
    """The composite adapter that is to be live."""

    digest: str
    stage: str
    rank: int
    requests: int


class PolicyState(BaseModel):
    """The policy and who applies it."""

    version: int
    enforced: int = Field(description="how many requests the policy enforces")
    counts: dict[State, int]
    replicas: Replicas
    adapter: AdapterState | None
