"""Ending work that does not hear a first cancellation: one that meets a timeout is lost."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

AGAIN_S = 1.0

Result = TypeVar("Result")


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel until all have ended (Python up to 3.11 loses cancellations, bpo-37658)."""
    tasks = list(tasks)
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=AGAIN_S)
    for task in tasks:
        with suppress(asyncio.CancelledError):
            task.result()


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run what may take long, from a command."""
    return asyncio.run(interruptible(work))


async def interruptible(work: Coroutine[Any, Any, Result]) -> Result:
    """Await work that Ctrl-C ends for certain: ``asyncio.run`` cancels only once."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await end_tasks([task])
        raise
