"""The faults of the store: killed, rolled back, emptied, full. Each returns once it is over."""

import asyncio
import resource
from typing import Literal

from stream_app.bootstrap import EXIT_SOFTWARE
from tests.harness import until
from tests.soak.scene import LINK_S, Fault, Scene

JOURNAL_ROOM = 4_096  # bytes


def store_killed(policy: Literal["everysec", "always"]) -> Fault:
    """Kill -9 the store after a while under an fsync policy; it comes back with its file."""

    async def fault(scene: Scene) -> None:
        store = scene.stage.store
        with store.client() as client:
            client.config_set("appendfsync", policy)
        await scene.applied_more(200)
        await asyncio.to_thread(store.kill)
        scene.stage.rollbacks += 1
        await asyncio.to_thread(store.restart)

    return fault


async def rolled_back(scene: Scene) -> None:
    """The store comes back with an older append-only file."""
    store = scene.stage.store
    copy = await asyncio.to_thread(store.save)
    await scene.applied_more(500)
    scene.stage.rollbacks += 1
    await asyncio.to_thread(store.put_back, copy)


async def emptied(scene: Scene) -> None:
    """FLUSHALL: every worker must refuse to go on; then the file from before is put back."""
    store, exits = scene.stage.store, scene.crew.exits
    workers = scene.crew.of("worker")
    copy = await asyncio.to_thread(store.save)
    before = exits["worker", EXIT_SOFTWARE]
    with store.client() as client:
        client.flushall()
    await until(
        lambda: exits["worker", EXIT_SOFTWARE] >= before + len(workers),
        "every worker refuses a store that was emptied",
    )
    if await scene.stage.applied():
        raise AssertionError("records were applied to a store that had lost its memory")
    scene.stage.rollbacks += 1
    await asyncio.to_thread(store.put_back, copy)


async def disk_full(scene: Scene) -> None:
    """The append-only file may not grow: the store refuses to write until it may again.

    Then it is rewritten, as docs/guarantees.md asks for: where a write was cut short after a
    rewrite, Valkey leaves a hole in the file and would not read it at its next start.
    """
    store = scene.stage.store
    with store.client() as client:
        client.config_set("appendfsync", "everysec")  # with "always" a full disk ends the server
        size = max(file.stat().st_size for file in store.journal.iterdir())
        unlimited = resource.prlimit(store.pid, resource.RLIMIT_FSIZE)
        room = (size + JOURNAL_ROOM, unlimited[1])
        resource.prlimit(store.pid, resource.RLIMIT_FSIZE, room)
        try:
            await until(
                lambda: client.info("persistence")["aof_last_write_status"] == "err",
                "the store cannot write its file",
            )
            await asyncio.sleep(scene.rng.uniform(*LINK_S))
        finally:
            resource.prlimit(store.pid, resource.RLIMIT_FSIZE, unlimited)
        await until(
            lambda: client.info("persistence")["aof_last_write_status"] == "ok",
            "the store can write its file again",
        )
        rewritten = client.info("stats")["total_forks"]
        client.bgrewriteaof()
        await until(
            lambda: (
                client.info("stats")["total_forks"] > rewritten
                and not client.info("persistence")["aof_rewrite_in_progress"]
            ),
            "the store has written its file anew",
        )
