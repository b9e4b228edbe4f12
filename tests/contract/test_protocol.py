"""Any order of claims, writes, losses, crashes and rollbacks leaves an exact history.

Tried: without the check of the epoch, of the base or of the repeated batch in ``apply.lua``, this
fails; the check of the write before has a test of its own. TEST_PROTOCOL_EXAMPLES=1000 asks for
more runs, and each time for others.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from stream_app.ports import ApplyStatus, Batch
from tests.builders import PROFILES, PURCHASES
from tests.protocol.machine import Machine
from tests.protocol.servers import MemoryServer, RedisServer, Server

EXAMPLES, STEPS = 100, 40
MORE = int(os.environ.get("TEST_PROTOCOL_EXAMPLES", "0"))


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def open_server(request: pytest.FixtureRequest) -> Callable[[], Server]:
    if request.param == "memory":
        return MemoryServer
    url = request.getfixturevalue("redis_url")
    return lambda: RedisServer(url)


def test_any_order_of_events_leaves_an_exact_history(open_server: Callable[[], Server]) -> None:
    run_state_machine_as_test(
        lambda: Machine(open_server),  # type: ignore[arg-type] # a factory will do
        settings=settings(
            max_examples=MORE or EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=not MORE,
            database=None,
        ),
    )


async def test_a_session_cannot_build_on_writes_that_a_rollback_took_back(
    open_server: Callable[[], Server],
) -> None:
    server = open_server()
    claim = await server.store.claim(0, "w1")
    before = await server.copy(0)
    await server.store.apply(0, claim.epoch, Batch("b1", PURCHASES, 0, 2, 0))
    await server.put_back(0, before, claim.epoch)

    other = Batch("b2", PROFILES, 0, 1, 0, after="b1")
    answer = await server.store.apply(0, claim.epoch, other)

    await server.close()
    assert answer.status is ApplyStatus.MISMATCH
