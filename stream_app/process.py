"""Running a Faust app as a process that ends when it is told to, whatever hangs."""

import asyncio
import gc
import logging
import os
import sys
import threading
from contextlib import suppress
from shutil import rmtree
from typing import Any, NoReturn

import faust

from stream_app.health import Health

STOP_S = 4.0
SWITCH_S = 0.0005


def tune(log_level: str) -> None:
    """Set up the interpreter for a stream: before there is an event loop.

    The consumer's thread and that of the lanes take turns every half millisecond, not every five: a
    fetch needs several turns. The garbage collector looks rarely, and never at what the imports
    left: customer states hold no cycles. aiokafka would format a debug record per message although
    nobody prints it.
    """
    with suppress(ImportError):
        from uvloop import EventLoopPolicy  # noqa: PLC0415 - not on Windows

        asyncio.set_event_loop_policy(EventLoopPolicy())
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    logging.getLogger("aiokafka").setLevel(log_level)


class Process(faust.Worker):
    """A Faust worker with a watchdog, and with an end of its own.

    SIGTERM or SIGINT: the work in hand is finished and published, the group is left, and the
    process exits with 0. What could not be finished within `STOP_S` seconds, because a service
    does not answer, is left to the next owner: it is stored, or it is read again.
    """

    def __init__(self, app: Any, health: Health, **options: Any) -> None:
        super().__init__(app, **options)
        self._health = health

    def watch(self) -> None:
        """Begin to watch; before the event loop runs."""
        self._health.begin(self.loop)

    def _schedule_shutdown(self, signal: Any) -> None:
        if not self._signal_stop_time:
            deadline = threading.Timer(STOP_S, self._leave, ["a service did not answer in time"])
            deadline.daemon = True
            deadline.start()
        super()._schedule_shutdown(signal)

    async def _stop_on_signal(self, signal: Any) -> None:
        await self._health.end()
        await super()._stop_on_signal(signal)

    def _shutdown_loop(self) -> None:
        """Leave at once after a signal: the framework would wait some seconds for nothing."""
        if self._signal_stop_time and not self.crash_reason:
            self._leave()
        super()._shutdown_loop()

    def _leave(self, why: str = "") -> NoReturn:
        if why:
            sys.stderr.write(f"segmenter: stopped with work in hand: {why}; nothing is lost\n")
        rmtree(self.app.conf.datadir, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
