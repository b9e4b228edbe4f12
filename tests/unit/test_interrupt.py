import asyncio
import sys
from importlib.abc import MetaPathFinder

import pytest

from stream_app.__main__ import main
from stream_app.interrupt import interruptible


async def test_work_that_loses_the_first_cancellation_is_ended_all_the_same() -> None:
    heard = []

    async def deaf() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("once")
        await asyncio.Event().wait()

    running = asyncio.create_task(interruptible(deaf()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 10)
    assert heard == ["once"]


async def test_what_the_work_returns_or_raises_is_passed_on() -> None:
    async def answer(value: int) -> int:
        if value < 0:
            raise LookupError("below zero")
        return value

    assert await interruptible(answer(42)) == 42
    with pytest.raises(LookupError):
        await interruptible(answer(-1))


def test_ctrl_c_while_a_command_is_being_loaded_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupting(MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "stream_app.cli":
                raise KeyboardInterrupt

    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "stream_app.cli", raising=False)

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 130
