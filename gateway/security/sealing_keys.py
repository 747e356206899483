"""The keys of encryption at rest, and where they come from: a file, an environment variable, or a command (a KMS)."""

import base64
import contextlib
import json
import os
import secrets
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from gateway.forget.errors import SealError

if TYPE_CHECKING:
    from gateway.settings import Settings

KEY_BYTES = 32  # AES-256, HMAC-SHA-256
COMMAND_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class SealingKeys:
    """What seals now (`current`), what may still have to be opened (`keys`), and what indexes are made with (`index`).

    The index key is not rotated with the others: an index could not be found again.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)
    index: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """Keys that nobody has yet."""
        id_ = _new_id()
        return cls(id_, {id_: secrets.token_bytes(KEY_BYTES)}, secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From JSON: `{"current": id, "keys": {id: base64}, "index": base64}`.

        Raises:
            SealError: it is something else; the text is not quoted.
        """
        try:
            given = json.loads(text)
            keys = {id_: base64.b64decode(key, validate=True) for id_, key in given["keys"].items()}
            parsed = cls(given["current"], keys, base64.b64decode(given["index"], validate=True))
        except (ValueError, KeyError, TypeError, AttributeError):
            parsed = None
        if parsed is None or parsed.current not in parsed.keys or not parsed._well_formed():
            raise SealError(
                'sealing keys have the form {"current": "a", "keys": {"a": "32 bytes in base64"}, "index": "32 too"}; '
                "without any the gateway makes a file of that form in its data directory"
            )
        return parsed

    def dump(self) -> str:
        """As JSON."""
        keys = {id_: base64.b64encode(key).decode() for id_, key in self.keys.items()}
        given = {"current": self.current, "keys": keys, "index": base64.b64encode(self.index).decode()}
        return json.dumps(given, indent=2) + "\n"

    def rotated(self) -> "SealingKeys":
        """A new current key beside the old ones."""
        id_ = _new_id()
        return SealingKeys(id_, {**self.keys, id_: secrets.token_bytes(KEY_BYTES)}, self.index)

    def _well_formed(self) -> bool:
        ids_fit = all(id_.isalnum() for id_ in self.keys)
        return ids_fit and all(len(key) == KEY_BYTES for key in (*self.keys.values(), self.index))


def _new_id() -> str:
    return secrets.token_hex(4)


class KeySource(Protocol):
    """Where sealing keys come from."""

    def read(self) -> SealingKeys:
        """The keys as they are now. Raises SealError."""

    def stamp(self) -> int:
        """Another number when they have changed; cheap to ask."""


@dataclass(frozen=True)
class KeyFile:
    """A file that only its owner may read; made when it is first needed."""

    path: Path

    def read(self) -> SealingKeys:
        """The keys in the file."""
        if not self.path.exists():
            self._make()
        try:
            if self.path.stat().st_mode & 0o077:
                raise SealError(f"others may read the sealing keys in {self.path}: chmod 600 it")
            return SealingKeys.parse(self.path.read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError) as error:
            raise SealError(f"the sealing keys in {self.path} cannot be read: {type(error).__name__}") from None

    def stamp(self) -> int:
        """When it was last written."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def rotate(self) -> None:
        """Puts a new current key beside the old ones."""
        written = self._write(self.read().rotated())
        written.replace(self.path)
        self._sync_folder()

    def _make(self) -> None:
        """Complete or not at all, and never over another's: two processes may start at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        written = self._write(SealingKeys.generate())
        try:
            with contextlib.suppress(FileExistsError):
                os.link(written, self.path)
        finally:
            written.unlink()
        self._sync_folder()

    def _write(self, keys: SealingKeys) -> Path:
        descriptor, name = tempfile.mkstemp(prefix=".sealing-", dir=self.path.parent)  # mode 0600
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(keys.dump())
            file.flush()
            os.fsync(file.fileno())
        return Path(name)

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


@dataclass(frozen=True)
class GivenKeys:
    """Keys from the environment: they change with a restart only."""

    text: str = field(repr=False)

    def read(self) -> SealingKeys:
        """The keys given."""
        return SealingKeys.parse(self.text)

    def stamp(self) -> int:
        """Always the same."""
        return 0


@dataclass(frozen=True)
class KeyCommand:
    """A command that prints the keys: the client of a key management service or a vault. Run without a shell."""

    command: str

    def read(self) -> SealingKeys:
        """What the command prints; asked at the start, and when a record needs a key that is not known yet."""
        try:
            done = subprocess.run(  # noqa: S603 the operator's own command
                shlex.split(self.command), capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=True
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise SealError(f"the command for the sealing keys failed: {type(error).__name__}") from None
        return SealingKeys.parse(done.stdout)

    def stamp(self) -> int:
        """Always the same: asking costs a process."""
        return 0


def key_source(settings: "Settings") -> KeySource:
    """Where the operator keeps the keys; by default in the data directory."""
    if settings.sealing_keys is not None:
        return GivenKeys(settings.sealing_keys.get_secret_value())
    if settings.sealing_key_command is not None:
        return KeyCommand(settings.sealing_key_command)
    return KeyFile(settings.sealing_key_file or settings.data_dir.resolve() / "sealing-keys.json")
