"""The report on a request: what was done and what was measured, in JSON, or as a small page to read."""

from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any

from pydantic import BaseModel, Field

from gateway.forget.figures import LABELS, Figure, figures
from gateway.forget.model import ForgetRequest, Protection, State, Transition

GUARD_ALONE = (
    "The guard is on: suppression, not erasure. Nothing was measured on the weights, which have to be taken as before."
)
GUARD_STAYS = "The guard is on besides."
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{border-bottom:1px solid #ccc;padding:.2rem .8rem .2rem 0;text-align:left}"""


class Report(BaseModel):
    """What can be said about a forget request, without a word of its subject."""

    request: str
    kind: str
    state: State
    state_reason: str
    summary: str
    label: str | None = Field(
        description="SUPPRESSED, ATTENUATED, REMOVED-EVIDENCE, PRESENT or UNTESTED; null: nothing was measured",
        examples=["REMOVED-EVIDENCE"],
    )
    passed: bool | None
    measured_on: str | None = Field(description="digest of the composite adapter that was measured")
    composite: str | None = Field(description="digest of the composite adapter that is to be live with this request")
    questions: int | None = Field(description="questions and sentences put to the weights about the subject")
    languages: list[str] | None = Field(
        description="in which they were put; null: not recorded", examples=[["en", "de"]]
    )
    figures: list[Figure]
    method: str
    attempts: int
    protection: Protection
    created_at: datetime
    history: list[Transition]
    certificate: str | None = Field(description="where the certificate is, if there is one")


def report_on(request: ForgetRequest) -> Report:
    """The report on a request as it stands."""
    verification: Mapping[str, Any] = request.verification or {}
    label = verification.get("label")
    return Report(
        request=request.id,
        kind=request.kind,
        state=request.state,
        state_reason=request.state_reason,
        summary=_summary(request, label),
        label=label,
        passed=verification.get("passed"),
        measured_on=verification.get("composite_digest"),
        composite=request.erasure.composite_digest,
        questions=verification.get("n"),
        languages=verification.get("languages"),
        figures=figures(verification) if verification else [],
        method=request.erasure.method,
        attempts=request.erasure.attempt,
        protection=request.protection,
        created_at=request.created_at,
        history=request.state_history,
        certificate=request.links.certificate if request.state is State.ERASED else None,
    )


def _summary(request: ForgetRequest, label: str | None) -> str:
    if request.protection.level == "none":
        return f"The request is {request.state}: it is not promised that anything protects the subject."
    if label is None:
        return GUARD_ALONE
    if request.state is State.ERASED:
        return f"{LABELS[label]} {GUARD_STAYS}"
    return f"Not erased ({request.state}): suppression by the guard. At the last measurement: {LABELS[label]}"


def page(report: Report) -> str:
    """The report as HTML, without scripts and without anything from elsewhere."""
    facts = {
        "State": f"{report.state} {report.state_reason}".strip(),
        "Label": report.label or "not measured",
        "Method": f"{report.method}, attempts: {report.attempts}",
        "Protection": f"{report.protection.level}, on {report.protection.replicas.applied} of "
        f"{report.protection.replicas.live} live replicas",
        "Composite adapter": report.composite or "none",
        "Measured on": report.measured_on or "nothing",
        "Questions put": report.questions or 0,
        "Asked for": report.created_at.isoformat(timespec="seconds"),
    }
    columns = ("before", "after", "upper_bound_95", "floor", "limit", "n")
    measures = [
        [figure.name, *(getattr(figure, name) for name in columns), figure.meaning] for figure in report.figures
    ]
    steps = [[step.at.isoformat(timespec="seconds"), step.state, step.reason] for step in report.history]
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Forget request {escape(report.request)}</title>
<style>{STYLE}</style>
<h1>Forget request {escape(report.request)}</h1>
<p><strong>{escape(report.label or report.state)}</strong>: {escape(report.summary)}</p>
{_table((), list(facts.items()))}
<h2>Measured on the weights alone</h2>
{_table(("measure", *columns, ""), measures)}
<h2>History</h2>
{_table(("when", "state", "reason"), steps)}
</html>
"""


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = ["".join(f"<td>{escape('' if cell is None else str(cell))}</td>" for cell in row) for row in rows]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
