"""Workers and trainers under a supervisor: who ends by themselves is replaced."""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from stream_app.config import Settings
from stream_app.demo.system import Child

POLL_S = 0.1


class Crew:
    """The running processes; ``exits`` counts those that ended by themselves, by exit code.

    ``say`` is told of each, with the last line of its log.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.settings = settings
        self.exits: Counter[tuple[str, int]] = Counter()
        self._say = say
        self._members: list[Child] = []

    def of(self, command: str) -> list[Child]:
        """Processes of a kind, the oldest first."""
        return [child for child in self._members if child.command == command]

    def add(self, command: str) -> Child:
        """Start a process."""
        child = Child(command, self.settings)
        self._members.append(child)
        return child

    async def kill(self, child: Child) -> None:
        """SIGKILL a process and start another, as a supervisor does."""
        self._members.remove(child)
        await asyncio.to_thread(child.kill)
        self.add(child.command)

    async def dismiss(self, child: Child) -> None:
        """Let a process end its work; nobody takes its place."""
        if child in self._members:  # not replaced meanwhile
            self._members.remove(child)
            await asyncio.to_thread(child.stop)

    async def supervise(self) -> None:
        """Replace whoever ends by themselves, until cancelled."""
        while True:
            for child in [c for c in self._members if c.code is not None]:
                log = (child.folder / "log").read_text(errors="replace").strip()
                self._say(f"{child.command} ended ({child.code}): {log[-2000:].splitlines()[-1:]}")
                self.exits[child.command, child.code or 0] += 1
                await self.kill(child)
            await asyncio.sleep(POLL_S)

    def keep_logs(self) -> Path:
        """Copy the logs of all who run now; return the folder."""
        folder = Path(tempfile.mkdtemp(prefix="segmenter-soak-"))
        for number, child in enumerate(self._members, 1):
            shutil.copy(child.folder / "log", folder / f"{number}-{child.command}.log")
        return folder

    async def stop(self) -> None:
        """End everybody, the trainers first."""
        for child in [*self.of("trainer"), *self.of("worker")]:
            await self.dismiss(child)
