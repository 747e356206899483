"""Calendar arithmetic."""

from datetime import UTC, datetime

import pytest

from gateway.forget.deadlines import Regulation, due_by


@pytest.mark.parametrize(
    ("regulation", "received", "due"),
    [
        ("gdpr", "2025-03-15", "2025-04-15"),
        ("gdpr", "2025-01-31", "2025-02-28"),
        ("gdpr", "2024-01-31", "2024-02-29"),
        ("gdpr", "2025-02-28", "2025-03-28"),
        ("gdpr", "2025-12-31", "2026-01-31"),
        ("ccpa", "2025-01-31", "2025-03-17"),
        ("ccpa", "2024-01-31", "2024-03-16"),
    ],
)
def test_periods(regulation: Regulation, received: str, due: str) -> None:
    assert due_by(regulation, datetime.fromisoformat(f"{received}T13:37:00Z")) == datetime.fromisoformat(
        f"{due}T13:37:00Z"
    )


@pytest.mark.parametrize("regulation", ["dmca", "contract", "security", "other", None])
def test_regulations_without_a_period(regulation: Regulation | None) -> None:
    assert due_by(regulation, datetime.now(UTC)) is None
