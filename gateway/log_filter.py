"""Keeps the forget list out of the log, whoever writes there: the engine, a library, a traceback."""

import logging
from collections.abc import Callable

from gateway.guards.policy import Policy

WITHHELD = "a line of this log was withheld: it named a forgotten subject"
_FORMAT = logging.Formatter()


class SubjectFilter(logging.Filter):
    """Withholds whole lines in which the guards recognise a subject, tracebacks included.

    It knows the subjects of the policy that is enforced. Before that no code that holds a subject may log it.
    """

    def __init__(self, policy: Callable[[], Policy | None]) -> None:
        super().__init__()
        self._policy = policy

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record through, some without what they said."""
        try:
            policy = self._policy()
            named = policy is not None and bool(policy.examine(_FORMAT.format(record)))
        except Exception:  # a message that does not fit its arguments, or that cannot be read
            named = True
        if named:
            record.msg, record.args = WITHHELD, ()
            record.exc_info = record.exc_text = record.stack_info = None
        return True


def watch_logs(policy: Callable[[], Policy | None]) -> None:
    """Puts the filter before every handler that there is now."""
    subjects = SubjectFilter(policy)
    loggers = (logging.getLogger(name) for name in logging.root.manager.loggerDict)
    for logger in (logging.root, *loggers):
        for handler in logger.handlers:
            handler.addFilter(subjects)
