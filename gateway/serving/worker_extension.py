"""Methods mixed into vLLM's worker, called from the gateway with `collective_rpc`: they fill the guard's tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.serving.logits_guard import tables


class GuardWorkerExtension:
    """Runs inside the engine process. vLLM refuses names that its worker has already, hence the prefix."""

    def unlearn_load_tables(self, phrases: Mapping[str, Sequence[str]]) -> str:
        """Compile phrase tables by id.

        Returns:
            "" on success, else the name of the error's type only: messages could quote a phrase into the log.
        """
        try:
            tables().load(phrases)
        except Exception as error:
            return type(error).__name__
        return ""

    def unlearn_drop_tables(self, ids: Sequence[str]) -> None:
        """Forget tables that no request uses any more."""
        tables().drop(ids)

    def unlearn_count_tables(self) -> int:
        """How many tables are loaded."""
        return len(tables())

    def unlearn_guard_state(self) -> dict[str, Any]:
        """Counters of this worker's guard, for metrics: rows blocked for want of a table, errors caught."""
        return tables().counters()
