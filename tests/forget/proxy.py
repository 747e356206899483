"""A TCP proxy before Redis that delays, swallows answers, or cuts the line."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Proxy:
    """Between clients at `url` and a server on `port` of this machine."""

    port: int
    delay_s: float = 0.0  # of every answer
    mute: bool = False  # what is asked arrives, what is answered does not
    taken: int = 0  # bytes from clients
    _listener: asyncio.Server | None = None
    _lines: set[asyncio.StreamWriter] = field(default_factory=set)
    _cut: bool = False

    @property
    def url(self) -> str:
        """Its address."""
        assert self._listener
        return f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """From now on every connection ends at once, those that there are too."""
        self._cut = True
        for line in self._lines:
            line.transport.abort()

    def mend(self) -> None:
        """As before."""
        self._cut = False

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener
        self._listener.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.port)
        self._lines |= {writer, to_server}
        with contextlib.suppress(OSError):
            await asyncio.gather(self._ask(reader, to_server), self._answer(from_server, writer))
        for line in (writer, to_server):
            line.transport.abort()
        self._lines -= {writer, to_server}

    async def _ask(self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.taken += len(data)
            to_server.write(data)
            await to_server.drain()
        to_server.close()

    async def _answer(self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await from_server.read(65536):
            await asyncio.sleep(self.delay_s)
            if not self.mute:
                writer.write(data)
                await writer.drain()
        writer.close()
