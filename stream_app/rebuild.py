"""Rebuild: all customers counted anew from Kafka into a generation of their own, then served.

The generation in service goes on meanwhile. What is read is exactly what it has read: up to its
watermarks, or, where the store has lost these, up to the group's commits. So its moves are history
and carry ``replay``; all that follows is decided by the workers as news. At the end the former
owners are fenced, the last records read and the generation switched, all or nothing.

Of the moves decided here only the latest of each customer is published, after the switch: what a
reader of the compacted topic would see. Dead letters were published when the records were first
read and are not published again.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from aiokafka.structs import TopicPartition

from stream_app import crash
from stream_app.adapters.clock import wall_ms
from stream_app.adapters.generations import Generations, latest_moves
from stream_app.adapters.kafka_history import History
from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.queries import partition_of
from stream_app.bootstrap import owner_name, pipeline_of, store_of
from stream_app.config import ClockMode, Settings
from stream_app.core.features import FeatureSet
from stream_app.core.flood import FloodGuard
from stream_app.core.messages import Outgoing
from stream_app.core.model import Models
from stream_app.pipeline import Chunk, Outcome, Session
from stream_app.rebuilding import Former, RebuildError, fingerprint, usable_models

ATTEMPTS = 20
NEARLY = 512  # records that may be left when the former owners are fenced
Offsets = dict[TopicPartition, int]
Told = Callable[[Mapping[int, tuple[int, int]]], None]


class Rebuild:
    """One rebuild. ``told`` hears, per partition, how many records are read and of how many."""

    def __init__(
        self,
        settings: Settings,
        generations: Generations,
        past: History,
        former: Former,
        told: Told,
    ) -> None:
        self._settings = settings
        self._generations = generations
        self._past = past
        self._former = former
        self._told = told
        self.number = former.number + 1
        self._store = store_of(settings, self.number)
        event = settings.model_copy(update={"clock": ClockMode.EVENT})
        self._pipeline = pipeline_of(event, self._store, Models())
        self._pipeline.rules = replace(self._pipeline.rules, history=True)
        self._owner = f"rebuild-{owner_name()}"
        self._flood = FloodGuard(settings.dead_letter_limit)
        self._sessions: dict[int, Session] = {}
        self._begun: Offsets = {}
        self._routed = former.partitions != settings.partitions

    async def run(self, publisher: KafkaPublisher, *, anew: bool) -> None:
        """Read everything and switch; raises RebuildError, FloodError or ConfigError."""
        features = self._pipeline.rules.features
        steps = {"apply": (self._store, "apply"), "trim": (self._store, "trim")}
        crash.arm(self._settings.crash_at, steps | {"publish": (publisher, "publish")})
        try:
            await self._begin(features, anew=anew)
            models = await usable_models(self._store, features, self._settings.margin)
            self._pipeline.models = models
            await self._catch_up()
            await self._switch(publisher)
        finally:
            await self._store.close()
            await self._former.store.close()

    async def _begin(self, features: FeatureSet, *, anew: bool) -> None:
        """Go on with an interrupted rebuild if nothing has changed, else start over."""
        wanted, earliest = fingerprint(self._settings, features), await self._past.earliest()
        same = await self._generations.facts(self.number) == wanted
        if same and not anew and not self._routed:
            await self._claim()
            same = all(at >= earliest[tp] for tp, at in self._positions().items())
        if anew or self._routed or not same:
            await self._generations.drop(self.number)
            await self._generations.note(self.number, wanted)
            await self._claim()
        for tp, at in earliest.items():
            if tp not in self._positions():
                # A watermark also where there is no record: without one a worker must refuse.
                await self._take(Chunk(tp.topic, tp.partition, at - 1, at, ()))
        self._begun = earliest

    def _positions(self) -> Offsets:
        found = {(t, p): at for p, s in self._sessions.items() for t, at in s.positions.items()}
        return {tp: found[tp] for tp in self._past.tps if tp in found}

    async def _claim(self) -> None:
        """Own every partition of the new generation with an epoch above all former ones."""
        room = self._settings.cache_customers // self._settings.partitions
        for partition in range(self._settings.partitions):
            claim = await self._store.claim(partition, self._owner)
            session = self._sessions[partition] = Session.of(partition, claim, room)
            await self._hold(session, [(e.id, e.message) for e in claim.pending])

    async def _limits(self, marks: Mapping[int, Mapping[str, int]]) -> Offsets:
        """Tell up to where the past goes: what the former generation or its group has read."""
        limits: Offsets = {}
        for tp in self._past.tps:
            read = None if self._routed else marks.get(tp.partition, {}).get(tp.topic)
            if read is None and not self._routed:
                read = await self._past.committed(tp)
            limits[tp] = await self._past.end(tp) if read is None else read
        return limits

    async def _marks(self) -> dict[int, dict[str, int]]:
        """Read the former generation's watermarks."""
        found: dict[int, dict[str, int]] = {}
        for partition in range(self._former.partitions):
            counters = await self._former.store.counters(partition)
            found[partition] = {
                name.removeprefix("next:"): at
                for name, at in counters.items()
                if name.startswith("next:")
            }
        return found

    async def _catch_up(self) -> None:
        """Read until nearly nothing is left, and let silence have its effect."""
        while True:
            limits, positions = await self._limits(await self._marks()), self._positions()
            left = sum(max(0, limits[tp] - at) for tp, at in positions.items())
            await self._read(limits)
            if left <= NEARLY:
                break
        await self._lapse()

    async def _read(self, limits: Offsets) -> None:
        async for chunk in self._past.read(self._positions(), limits):
            await self._take(chunk)
            self._tell(limits)
        self._tell(limits)

    def _tell(self, limits: Offsets) -> None:
        done: dict[int, tuple[int, int]] = {}
        for tp, at in self._positions().items():
            first = self._begun.get(tp, at)
            before = done.get(tp.partition, (0, 0))
            done[tp.partition] = (before[0] + at - first, before[1] + max(0, limits[tp] - first))
        self._told(done)

    async def _take(self, chunk: Chunk) -> None:
        """Count a chunk; where partitions were added, each customer in today's partition."""
        own = chunk
        if self._routed:
            homes: dict[int, list[int]] = {}
            for index, record in enumerate(chunk.records):
                home = partition_of(
                    (record.key or b"").decode(errors="replace"), len(self._sessions)
                )
                homes.setdefault(home if record.key else chunk.partition, []).append(index)
            kept = homes.pop(chunk.partition, [])
            for home, indexes in homes.items():
                at = self._sessions[home].positions.get(chunk.topic, 0)
                records = [chunk.records[i] for i in indexes]
                await self._write(home, Chunk(chunk.topic, home, at, at, records))
            own = replace(chunk, records=[chunk.records[i] for i in kept])
        await self._write(own.partition, own)

    async def _write(self, partition: int, chunk: Chunk) -> None:
        session = self._sessions[partition]
        outcome = await self._pipeline.process(session, chunk, wall_ms())
        await self._written(session, outcome)
        if self._flood.take(chunk.topic, chunk.partition, chunk.records, outcome.rejected):
            raise RebuildError(
                f"{self._flood.error()} (This was a rebuild: what serves is unchanged, workers are "
                "not halted)"
            )

    async def _written(self, session: Session, outcome: Outcome) -> None:
        if not outcome.ok:
            raise RebuildError(
                f"generation {self.number}: somebody else writes to it, or has removed it: is "
                "another `segmenter rebuild` running?"
            )
        await self._hold(session, [(entry.id, entry.message) for entry in outcome.outbox])

    async def _hold(self, session: Session, entries: list[tuple[str, Outgoing]]) -> None:
        """Keep the latest move of each customer instead of publishing all of them."""
        changes = self._settings.topic_changes
        moves = latest_moves((m.key, m.value) for _, m in entries if m.topic == changes)
        if moves:
            home = (self._settings.topic_purchases, session.partition)
            await self._generations.hold(self.number, home, moves)
        await self._store.trim(session.partition, [entry for entry, _ in entries])

    async def _lapse(self) -> None:
        """Let everybody lapse who is due: by event time, and for live traffic until now."""
        rules = self._pipeline.rules
        self._pipeline.rules = replace(
            rules, event_clock=self._settings.clock is ClockMode.EVENT, history=True
        )
        for session in self._sessions.values():
            while outcome := await self._pipeline.lapse(session, wall_ms()):
                await self._written(session, outcome)
        self._pipeline.rules = rules

    async def _switch(self, publisher: KafkaPublisher) -> None:
        """Fence the former owners, read what they did last, and switch; again if one came back."""
        former = self._former
        for _ in range(ATTEMPTS):
            epochs = {}
            for partition in range(former.partitions):
                claim = await former.store.claim(partition, self._owner)
                epochs[partition] = claim.epoch
                if claim.pending:
                    await publisher.publish([entry.message for entry in claim.pending])
                    await former.store.trim(partition, [entry.id for entry in claim.pending])
            await self._read(await self._limits(await self._marks()))
            await self._claim()
            stamps = {f"epoch:{p}": str(s.epoch) for p, s in self._sessions.items()}
            await self._generations.note(self.number, stamps)
            answer = await self._generations.switch(
                former.number, self.number, former.topic, epochs
            )
            if answer == "OK":
                return
            if answer == "MOVED":
                raise RebuildError("another rebuild has switched meanwhile; this one is of no use")
            await asyncio.sleep(0)
        raise RebuildError(
            "workers came back too fast to switch between their writes; run it again, it goes on"
        )
