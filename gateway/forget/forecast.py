"""What a dry run answers: counts and rates, warnings with stable codes."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.forget.model import Kind
from gateway.guards.actions import Response

COMMON_RATE = 0.01

Code = Literal[
    "very_common",
    "matches_benign_text",
    "short_name",
    "single_word",
    "collides",
    "already_active",
    "guard_only_kind",
    "no_sample",
]

DETAILS: Mapping[Code, str] = {
    "very_common": f"It would guard more than {COMMON_RATE:.0%} of the sampled traffic: give a fuller name.",
    "matches_benign_text": "It would guard everyday text about others: give a fuller name, or exclusions.",
    "short_name": "A name is so short that others contain it: give the full name.",
    "single_word": "A name is a single word, which others may bear: give the full name, or exclusions.",
    "collides": "A name contains, or is contained in, one of an active target: some prompts will name both.",
    "already_active": "An active target has this main name: look at the list before you send another request.",
    "guard_only_kind": "This kind is guarded only: the weights keep what they know.",
    "no_sample": "No prompts are sampled (yet): the share of guarded traffic is unknown.",
}


class Matched(BaseModel):
    """Texts that a guard would match, and how often that is to be expected."""

    examined: int
    matched: int
    rate: float | None = Field(description="matched / examined")
    rate_upper_bound: float = Field(description="one-sided 95 % bound (Clopper-Pearson)")


class Traffic(Matched):
    """The expected share of guarded traffic, from a sample of the latest prompts."""

    sampled: int = Field(description="prompts in the sample; fewer are `examined` if reading all takes too long")
    cut: int = Field(description="examined prompts of which only the end was kept: a name before it is not seen")
    exact: int = Field(description="matched prompts with a name as it was given, whatever the case")
    respelt: int = Field(description="others with a name in another spelling, or misspelt")
    encoded: int = Field(description="others with a name in an encoding (base64, percent, ...)")
    described: int = Field(description="others that name nobody, but say enough of the `description`")
    already_guarded: int = Field(description="matched prompts that the active policy guards already")


class InLanguage(BaseModel):
    """Benign text in one language."""

    examined: int
    matched: int


class Benign(Matched):
    """Expected false positives: questions about people nobody knows, everyday prompts and sentences, built in."""

    languages: dict[str, InLanguage]


class ActiveTargets(BaseModel):
    """How the new names meet those of the active policy."""

    active: int
    compared: int = Field(description="fewer than `active` if comparing all takes too long")
    colliding: int = Field(description="targets in whose names a new one is found, or which are found in a new one")


class Outcome(BaseModel):
    """What the request would do."""

    response: Response
    erasure: Literal["guard_only", "counterfactual_name_distillation"]
    weights_erasable: bool = Field(description="whether this kind can be erased from the weights at all")


class DryRunWarning(BaseModel):
    """Something to look at before the request is sent."""

    code: Code = Field(description="stable: programs may rely on it")
    detail: str


EXAMPLE: dict[str, Any] = {
    "kind": "person",
    "outcome": {
        "response": "ignorance",
        "erasure": "counterfactual_name_distillation",
        "weights_erasable": True,
    },
    "traffic": {
        "examined": 200,
        "matched": 4,
        "rate": 0.02,
        "rate_upper_bound": 0.0452,
        "sampled": 200,
        "cut": 0,
        "exact": 2,
        "respelt": 1,
        "encoded": 1,
        "described": 0,
        "already_guarded": 0,
    },
    "benign": {
        "examined": 474,
        "matched": 0,
        "rate": 0.0,
        "rate_upper_bound": 0.0063,
        "languages": {code: {"examined": 79, "matched": 0} for code in ("en", "es", "de", "fr", "it", "zh")},
    },
    "active_targets": {"active": 1, "compared": 1, "colliding": 0},
    "warnings": [{"code": "very_common", "detail": DETAILS["very_common"]}],
}


class DryRun(BaseModel):
    """What a forget request would guard. Aggregates only."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    kind: Kind
    outcome: Outcome
    traffic: Traffic
    benign: Benign
    active_targets: ActiveTargets
    warnings: list[DryRunWarning]
