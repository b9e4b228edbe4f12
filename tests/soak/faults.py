"""The faults. Each returns once it is over: what was cut is mended, what was stopped runs again."""

import asyncio
import os
import resource
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from stream_app.bootstrap import EXIT_SOFTWARE
from stream_app.demo.system import Child
from tests.harness import until
from tests.kafka.cluster import Node
from tests.soak.crew import Crew
from tests.soak.load import Load
from tests.soak.proxy import Link
from tests.soak.stage import SESSION_S, Stage

BURST = 150  # bad records; far below what the flood guard allows of 1,000
FROZEN_S = SESSION_S + 2
STORM_S = 12.0
LINK_S = (2.0, 5.0)
JOURNAL_ROOM = 4_096  # bytes


@dataclass
class Scene:
    """What a fault may touch; ``rng`` is drawn from for whom it hits and for how long."""

    stage: Stage
    crew: Crew
    load: Load
    rng: Random

    async def applied_more(self, records: int) -> None:
        """Wait until so many more records have had their effect, so that there is work to lose."""
        before = await self.stage.applied()

        async def enough() -> bool:
            return await self.stage.applied() >= before + records

        await until(enough, f"{records} more records are applied")


Fault = Callable[[Scene], Awaitable[None]]


def killed(command: str) -> Fault:
    """SIGKILL a process; the supervisor starts another at once."""

    async def fault(scene: Scene) -> None:
        await scene.crew.kill(scene.rng.choice(scene.crew.of(command)))

    return fault


def frozen(command: str) -> Fault:
    """SIGSTOP for longer than the session, then SIGCONT: it wakes as a zombie."""

    async def fault(scene: Scene) -> None:
        child = scene.rng.choice(scene.crew.of(command))
        os.kill(child.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_S)
        finally:
            os.kill(child.pid, signal.SIGCONT)

    return fault


async def storm(scene: Scene) -> None:
    """Workers join and leave every few seconds: each time the group shares out anew."""
    guests: list[Child] = []
    left = STORM_S
    while left > 0:
        if len(guests) < 2:
            guests.append(scene.crew.add("worker"))
        else:
            await scene.crew.dismiss(guests.pop(0))
        pause = scene.rng.uniform(1.5, 3.0)
        await asyncio.sleep(pause)
        left -= pause
    for guest in guests:
        await scene.crew.dismiss(guest)


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


def link(end: Literal["store", "broker"], how: Literal["slow", "cut", "held"]) -> Fault:
    """Slow, cut or hold still every connection to the store, or to the brokers."""

    async def fault(scene: Scene) -> None:
        links = [scene.stage.store_link] if end == "store" else scene.stage.broker_links
        for one in links:
            _spoil(one, how, scene.rng)
        try:
            await asyncio.sleep(scene.rng.uniform(*LINK_S))
        finally:
            for one in links:
                one.mend()

    return fault


def _spoil(one: Link, how: str, rng: Random) -> None:
    if how == "slow":
        one.delay = rng.uniform(0.05, 0.3)
    elif how == "cut":
        one.cut()
    else:
        one.hold()


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


async def poison_burst(scene: Scene) -> None:
    """Many records at once that nobody can count."""
    scene.load.burst(BURST)
    await until(lambda: not scene.load.is_bursting, "the burst is sent")


def broker_ended(how: Callable[[Node], None]) -> Fault:
    """Stop or kill a broker, and start it again."""

    async def fault(scene: Scene) -> None:
        assert scene.stage.cluster is not None
        node = scene.rng.choice(scene.stage.cluster.nodes)
        await asyncio.to_thread(how, node)
        await scene.stage.cluster.mend()

    return fault


async def leader_killed(scene: Scene) -> None:
    """Kill the leader of a partition; another must lead before it comes back."""
    cluster, topic = scene.stage.cluster, scene.stage.settings.topic_purchases
    assert cluster is not None
    partition = scene.rng.randrange(scene.stage.settings.partitions)
    former = await cluster.leader(topic, partition)
    assert former is not None
    await asyncio.to_thread(former.kill)

    async def follows() -> bool:
        return await cluster.leader(topic, partition) not in {None, former}

    await until(follows, "another broker leads")
    await cluster.mend()


FAULTS: dict[str, Fault] = {
    "worker killed": killed("worker"),
    "worker frozen beyond its session": frozen("worker"),
    "trainer killed": killed("trainer"),
    "trainer frozen beyond its session": frozen("trainer"),
    "workers join and leave": storm,
    "store killed, fsync everysec": store_killed("everysec"),
    "store killed, fsync always": store_killed("always"),
    "older file of the store put back": rolled_back,
    "store emptied (FLUSHALL)": emptied,
    "slow link to the store": link("store", "slow"),
    "cut link to the store": link("store", "cut"),
    "link to the store held": link("store", "held"),
    "slow link to the broker": link("broker", "slow"),
    "cut link to the broker": link("broker", "cut"),
    "link to the broker held": link("broker", "held"),
    "disk full for the store": disk_full,
    "burst of poison": poison_burst,
}
KAFKA_FAULTS: dict[str, Fault] = {
    "broker killed": broker_ended(Node.kill),
    "broker stopped": broker_ended(Node.stop),
}


def faults_for(kind: str) -> dict[str, Fault]:
    """Faults that mean something for a kind of broker; the embedded one has all in memory."""
    found = FAULTS | (KAFKA_FAULTS if kind != "embedded" else {})
    return found | ({"leader of a partition killed": leader_killed} if kind == "kafka3" else {})
