"""Crash points: the process stops dead before or after a step of the protocol, for tests.

``SEGMENTER_CRASH_AT=before:apply:5`` kills it (SIGKILL, as a power cut would) when the step is
reached the fifth time. ``stall:apply:5`` hangs there for good and lets everything else go on;
``block:apply:5`` hangs with the whole event loop. Nothing is wrapped while the setting is empty.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from itertools import count
from typing import Any, Literal, NamedTuple

from stream_app.config import ConfigError

Place = tuple[Any, str]
STEPS = (
    "fetch",
    "decode",
    "read",
    "apply",
    "publish",
    "trim",
    "commit",
    "claim",
    "release",
    "refresh",
    "sweep",
    "checkpoint",
)


class CrashPoint(NamedTuple):
    """Where to stop: at the ``number``-th time a step is reached."""

    when: Literal["before", "after", "stall", "block"]
    step: str
    number: int

    @classmethod
    def parse(cls, text: str) -> "CrashPoint":
        """Read ``before:apply:5``; raises ConfigError that names the setting.

        >>> CrashPoint.parse("after:trim:2")
        CrashPoint(when='after', step='trim', number=2)
        """
        match text.split(":"):
            case [("before" | "after" | "stall" | "block") as when, step, number] if (
                step in STEPS and number.isdigit()
            ):
                return cls(when, step, int(number))
        raise ConfigError(
            f"SEGMENTER_CRASH_AT: {text!r} is not before:STEP:NUMBER, after:STEP:NUMBER, "
            f"stall:STEP:NUMBER or block:STEP:NUMBER, with one of the steps {', '.join(STEPS)}"
        )


def arm(setting: str, places: Mapping[str, Place]) -> None:
    """Wrap the method (owner, name) of the step that the setting names, if it is among these."""
    if not setting:
        return
    point = CrashPoint.parse(setting)
    if point.step in places:
        owner, name = places[point.step]
        setattr(owner, name, _deadly(getattr(owner, name), point))


def _deadly(method: Callable[..., Any], point: CrashPoint) -> Callable[..., Any]:
    """Wrap a method, plain or async, so that it is the process's last."""
    calls = count(1)

    def reached(when: str, call: int) -> None:
        if when == point.when and call == point.number:
            os.kill(os.getpid(), signal.SIGKILL)
        if when == "before" and point.when == "block" and call == point.number:
            threading.Event().wait()

    @wraps(method)
    async def deadly_async(*args: Any, **options: Any) -> Any:
        call = next(calls)
        reached("before", call)
        if point.when == "stall" and call == point.number:
            await asyncio.Event().wait()
        found = await method(*args, **options)
        reached("after", call)
        return found

    @wraps(method)
    def deadly(*args: Any, **options: Any) -> Any:
        call = next(calls)
        reached("before", call)
        found = method(*args, **options)
        reached("after", call)
        return found

    return deadly_async if iscoroutinefunction(method) else deadly
