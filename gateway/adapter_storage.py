"""Adapters by digest: verified before they are used, and brought from storage that replicas and workers share."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gateway.forget.errors import AdapterUnavailable
from unlearn_engine.adapter_digest import FILES, contents_of, digest_of
from unlearn_engine.durable import whole_folder

Fetch = Callable[[str, str], Path]

# By the class's name: what a storage raises is its library's, which is not imported before it is needed.
REASONS = {
    "FileNotFoundError": "it is not there: the bucket or folder of UNLEARN_ADAPTERS_URL must exist",
    "PermissionError": "these credentials are refused: they must be good to list, read and write there",
    "EndpointConnectionError": "the storage does not answer: look at the network, and at AWS_ENDPOINT_URL if it is set",
    "NoCredentialsError": "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
    "ValueError": "UNLEARN_ADAPTERS_URL does not begin as an address that fsspec knows, such as s3://",
    "ImportError": "its library is missing: install the extra s3, or the package of fsspec for this kind of storage",
}


def as_published(_: str, published_at: str) -> Path:
    """An adapter where the worker has it, as it is."""
    return Path(published_at)


class AdapterStorage:
    """Blocking: call it in a thread.

    Args:
        folder: adapters of this machine, each in a folder named by its digest.
        url: what all machines share, for fsspec (`s3://bucket/adapters`, a mounted folder); None: they share `folder`.
            Bucket or folder must be there: made here, it would be on nobody else's share, or in a misspelt bucket.
    """

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self._url = url
        self._verified: dict[str, Path] = {}
        self.problem: str | None = None  # at the last look

    def look(self, *, publishes: bool = False) -> str | None:
        """Whether what all machines share can be read, and written by whoever publishes; what is wrong and what to do.

        A file of no bytes is written for that; nothing is done where they share their folders.
        """
        if self._url is None:
            return None
        try:
            with _explained("adapters cannot be shared"):
                storage, root = _opened(self._url)
                if publishes:
                    storage.pipe_file(f"{root}/.writable", b"")
                _list(storage, root)
        except AdapterUnavailable as error:
            self.problem = str(error)
        else:
            self.problem = None
        return self.problem

    def fetch(self, digest: str, published_at: str) -> Path:
        """A folder of this machine with the adapter of this digest.

        It is read once in this process's life; `published_at` is the folder in which the worker that made it has it.

        Raises:
            AdapterUnavailable: its files are not to be had, or are others.
        """
        known = self._verified.get(digest)
        if known is None or not known.is_dir():
            self._verified[digest] = known = self._found(digest, published_at)
        return known

    def publish(self, digest: str, folder: Path) -> None:
        """Puts an adapter where all machines find it; nothing to do where they share their folders.

        Raises:
            AdapterUnavailable: the storage does not take it.
        """
        if self._url is None:
            return
        with _explained(f"adapter {digest} could not be published"):
            storage, root = _opened(self._url)
            if storage.exists(f"{root}/{digest}/{FILES[-1]}"):
                return
            with suppress(FileExistsError):
                storage.mkdir(f"{root}/{digest}", create_parents=False)
            for name, content in zip(FILES, contents_of(folder), strict=True):  # the manifest last: all is there
                storage.pipe_file(f"{root}/{digest}/{name}", content)

    def _found(self, digest: str, published_at: str) -> Path:
        own = self.folder / digest
        for folder in (own, Path(published_at)):
            if _has(folder, digest):
                return folder
        if self._url is None:
            raise AdapterUnavailable(
                f"the files of adapter {digest} are not here, or were changed: replicas and workers need the same data "
                "directory, or UNLEARN_ADAPTERS_URL"
            )
        contents = self._downloaded(digest)
        shutil.rmtree(own, ignore_errors=True)  # if it is there, it is damaged
        with whole_folder(own) as folder:
            for name, content in zip(FILES, contents, strict=True):
                (folder / name).write_bytes(content)
        return own

    def _downloaded(self, digest: str) -> Sequence[bytes]:
        assert self._url is not None  # noqa: S101 the caller has looked
        with _explained(f"adapter {digest} could not be fetched"):
            storage, root = _opened(self._url)
            contents = [bytes(storage.cat_file(f"{root}/{digest}/{name}")) for name in FILES]
        if digest_of(contents) != digest:
            raise AdapterUnavailable(f"the files of adapter {digest} in the storage are not those that were published")
        return contents


def _opened(url: str) -> tuple[Any, str]:
    """A file system and the path in it."""
    from fsspec.core import url_to_fs  # only where it is asked for

    storage, root = url_to_fs(url)
    storage.invalidate_cache()
    return storage, str(root)


def _list(storage: Any, root: str) -> None:
    """Raises what the library raises if this is not there; a prefix in a bucket is there without an object, too."""
    try:
        storage.ls(root, detail=False)
    except FileNotFoundError:
        bucket, _, prefix = root.partition("/")
        if not bucket or not prefix:
            raise
        with suppress(PermissionError):  # it may be ours to list the prefix only
            storage.ls(bucket, detail=False)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Raises AdapterUnavailable for whatever the library of a storage raises, whose words may hold its keys."""
    try:
        yield
    except Exception as error:
        names = [kind.__name__ for kind in type(error).__mro__]
        reason = next((REASONS[name] for name in names if name in REASONS), "the storage failed")
        raise AdapterUnavailable(f"{what}: {reason} ({names[0]})") from None


def _has(folder: Path, digest: str) -> bool:
    try:
        return digest_of(contents_of(folder)) == digest
    except OSError:
        return False
