"""The faults. Each returns once it is over: what was cut is mended, what was stopped runs again."""

import asyncio
import os
import signal
from collections.abc import Callable
from random import Random
from typing import Literal

from stream_app.demo.system import Child
from tests.harness import until
from tests.kafka.cluster import Node
from tests.soak.proxy import Link
from tests.soak.scene import LINK_S, Fault, Scene
from tests.soak.stage import SESSION_S
from tests.soak.store_faults import disk_full, emptied, rolled_back, store_killed

BURST = 150  # bad records; far below what the flood guard allows of 1,000
FROZEN_S = SESSION_S + 2
STORM_S = 12.0


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
