"""What a process was doing: read off its tasks and threads at the moment of asking, at no cost."""

import asyncio
import gc
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = str(Path(__file__).parent)
FRAMES = 4
WATCHING = "health"


def doing(loop: asyncio.AbstractEventLoop, lane: str) -> str:
    """Tell which calls the task of this name waits in, or all tasks of ours if there is none."""
    tasks = asyncio.all_tasks(loop)
    chosen = [task for task in tasks if task.get_name() == lane]
    chosen = chosen or [task for task in tasks if task.get_name() != WATCHING]
    chains = [" > ".join(names) for task in chosen if (names := list(_chain(task)))]
    return "; ".join(sorted(set(chains))) or "nothing of ours"


def _chain(task: asyncio.Task[Any]) -> Iterator[str]:
    """Names of the coroutines that wait for each other, outermost first, from our first one on."""
    waiting: Any = task.get_coro()
    ours = False
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "ag_frame", None)
        if frame is not None:
            ours = ours or frame.f_code.co_filename.startswith(PACKAGE)
            if ours:
                yield frame.f_code.co_qualname
        if type(waiting).__name__ == "coroutine_wrapper":  # of a coroutine's own __await__
            (waiting,) = gc.get_referents(waiting)
        else:
            waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "ag_await", None)


def running(thread: int) -> str:
    """Tell which calls a thread (its ``ident``) is in, innermost last."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001
    stack = traceback.extract_stack(frame)[-FRAMES:] if frame else []
    return " > ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in stack)
