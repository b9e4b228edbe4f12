"""A TCP link on loopback that can be slowed, held still and cut."""

import asyncio
from contextlib import suppress

from stream_app.adapters.embedded import HOST

READ_BYTES = 65_536


class Link:
    """Forwards whatever arrives at ``port`` to ``target``, a port on loopback.

    ``delay``: seconds that each read of at most 64 KiB is held back, in both directions.
    """

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """Where clients connect, ``host:port``."""
        return f"{HOST}:{self.port}"

    async def open(self) -> None:
        """Listen on a free port; ``target`` may be set later."""
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Drop every connection, and every new one at once."""
        self._is_cut = True
        self._drop()

    def hold(self) -> None:
        """Let nothing pass, with the connections left open."""
        self._flows.clear()

    def mend(self) -> None:
        """Forward again, without delay; what was held passes now."""
        self._is_cut, self.delay = False, 0.0
        self._flows.set()

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self.mend()
        if self._server:
            self._server.close()
        self._drop()

    def _drop(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            behind = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, behind[1]}
        self._open |= pair
        try:
            await asyncio.gather(self._pump(reader, behind[1]), self._pump(behind[0], writer))
        finally:
            self._open -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one direction until either end closes; then the other direction ends too."""
        with suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await asyncio.sleep(self.delay)
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
