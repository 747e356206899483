"""By when a forget request is due, by the calendar of the regulation it rests on."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from dateutil.relativedelta import relativedelta

Regulation = Literal["gdpr", "ccpa", "dmca", "contract", "security", "other"]

# GDPR Art. 12(3): one month. CCPA, Cal. Civ. Code 1798.130(a)(2): 45 days. DMCA, 17 U.S.C. 512(c)(1)(C):
# "expeditiously", which is no date; contracts and incidents have dates that only the parties know.
PERIODS: Mapping[str, relativedelta] = MappingProxyType(
    {"gdpr": relativedelta(months=1), "ccpa": relativedelta(days=45)}
)


def due_by(regulation: Regulation | None, received: datetime) -> datetime | None:
    """The last moment, or none where the regulation names no period.

    A month ends on the day of the same number, or on the last day of a month that has no such day (Regulation
    1182/71, Art. 3(2)(c)).
    """
    period = PERIODS.get(regulation or "")
    return received + period if period is not None else None
