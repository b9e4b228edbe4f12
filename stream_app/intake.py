"""The chunks that wait for a lane: bounded, and joined when they follow each other."""

import asyncio

from stream_app.session import Chunk

MOST_CHUNKS = 32
ENOUGH_CHUNKS = 12


class Intake:
    """A queue of chunks for one lane; ``chunk_records`` are the most in a joined chunk.

    ``records``: how many wait.
    """

    def __init__(self, chunk_records: int) -> None:
        self.records = 0
        self._most = chunk_records
        self._queue: asyncio.Queue[Chunk] = asyncio.Queue(maxsize=MOST_CHUNKS)
        self._held: Chunk | None = None

    @property
    def has_room(self) -> bool:
        """Whether the records of another fetch or two find room."""
        return self.records < 2 * self._most and self._queue.qsize() < ENOUGH_CHUNKS

    async def put(self, chunk: Chunk) -> None:
        """Add a chunk; wait while there is no room at all."""
        await self._queue.put(chunk)
        self.records += len(chunk.records)

    def clear(self) -> None:
        """Drop what waits in the queue, and let go whoever waits in `put`."""
        while not self._queue.empty():
            self.records -= len(self._queue.get_nowait().records)

    async def next(self, wait: float) -> Chunk | None:
        """Take what has come, joined as far as it goes; None if nothing comes within ``wait`` s.

        The busier the lane, the more has come: its writes become larger.
        """
        chunk, self._held = self._held, None
        if chunk is None:
            try:
                async with asyncio.timeout(wait):
                    chunk = await self._queue.get()
            except TimeoutError:
                return None
        while not self._queue.empty():
            following = self._queue.get_nowait()
            if not chunk.joins(following, self._most):
                self._held = following
                break
            chunk = chunk + following
        self.records -= len(chunk.records)
        return chunk
