"""Keeps the forget list out of the log, whoever writes there: the engine, a library, a traceback."""

import logging
from collections.abc import Callable, Iterable

from gateway.guards.normalise import Folded, fold
from gateway.guards.policy import Policy

WITHHELD = "a line of this log was withheld: it named a forgotten subject"
LONG_LETTERS = 8  # so many mean the same within a word, too
_FORMAT = logging.Formatter()


class SubjectFilter(logging.Filter):
    """Withholds whole lines of which `names` says that they name a subject, tracebacks included.

    It knows the subjects that this process has been told of. Before that no code that holds a subject may log it.
    """

    def __init__(self, names: Callable[[str], bool]) -> None:
        super().__init__()
        self._names = names

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record through, some without what they said."""
        try:
            named = self._names(_FORMAT.format(record))
        except Exception:  # a message that does not fit its arguments, or that cannot be read
            named = True
        if named:
            record.msg, record.args = WITHHELD, ()
            record.exc_info = record.exc_text = record.stack_info = None
        return True


class SpokenOf:
    """Names and phrases that a process without a policy works with: the engine's, the worker's. Found as they are
    spelt, whatever case, accents and separators."""

    def __init__(self) -> None:
        self._letters: dict[str, frozenset[str]] = {}

    def hear(self, key: str, texts: Iterable[str]) -> None:
        """From now on no line may say one of these."""
        self._letters[key] = frozenset(letters for text in texts if (letters := fold(text).text))

    def forget(self, key: str) -> None:
        """Those that were heard under `key` may be said again."""
        self._letters.pop(key, None)

    def named(self, line: str) -> bool:
        """Whether a line says one of them."""
        read = fold(line)
        return any(_says(read, letters) for group in self._letters.values() for letters in group)


def _says(read: Folded, letters: str) -> bool:
    at = read.text.find(letters)
    while at >= 0:
        if len(letters) >= LONG_LETTERS or (read.edges[at] and read.edges[at + len(letters)]):
            return True
        at = read.text.find(letters, at + 1)
    return False


def watch_logs(policy: Callable[[], Policy | None]) -> None:
    """Puts a filter for the subjects of the policy in force before every handler that there is now."""

    def names(line: str) -> bool:
        present = policy()
        return present is not None and bool(present.examine(line))

    watch_lines(names)


def watch_lines(names: Callable[[str], bool]) -> None:
    """Puts a filter before every handler that there is now."""
    subjects = SubjectFilter(names)
    loggers = (logging.getLogger(name) for name in logging.root.manager.loggerDict)
    for logger in (logging.root, *loggers):
        for handler in logger.handlers:
            handler.addFilter(subjects)
