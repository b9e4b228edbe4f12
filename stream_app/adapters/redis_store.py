"""The store on Redis or Valkey: one string per customer, one script per write.

Keys of one partition share the hash tag ``{purchases:p}``, so a write touches one cluster slot:
``:wm`` (hash: epoch, owner, last batch, clock, next offset per topic, counters), ``:c1:<customer>``
(CustomerState in MessagePack, 1 is its version), ``:due`` (sorted set, ms), ``:out`` (stream). They
begin with the namespace, or with ``<namespace>.g<n>`` for the n-th generation since a rebuild; the
key ``<namespace>:generation`` says which one serves. The server must run ``noeviction``.
"""

from collections.abc import Awaitable, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

import msgspec

from stream_app.adapters.redis_client import translated
from stream_app.adapters.redis_forms import customer_args, group, numbers, texts
from stream_app.contracts import ModelSnapshot
from stream_app.core.folds import STATE_VERSION, CustomerState, unpacked
from stream_app.core.messages import Outgoing
from stream_app.core.snapshots import read_snapshot
from stream_app.ports import Applied, ApplyStatus, Batch, Claim, Pending

if TYPE_CHECKING:
    from redis.asyncio import Redis

SCRIPTS = files("stream_app.adapters") / "scripts"
_outgoing = msgspec.msgpack.Decoder(Outgoing)


def prefix_of(namespace: str, generation: int) -> str:
    """Begin the keys of a generation's customers.

    >>> prefix_of("seg", 1), prefix_of("seg", 2)
    ('seg', 'seg.g2')
    """
    return namespace if generation == 1 else f"{namespace}.g{generation}"


class RedisStore:
    """PartitionStore and ModelStore over one client; models are shared by all generations."""

    def __init__(
        self,
        client: "Redis",
        namespace: str = "seg",
        topic: str = "purchases",
        generation: int = 1,
    ) -> None:
        self._redis = client
        self._prefix = namespace
        self._topic = topic
        self.generation = generation
        self._claim = client.register_script((SCRIPTS / "claim.lua").read_text())
        self._apply = client.register_script((SCRIPTS / "apply.lua").read_text())
        self._save = client.register_script((SCRIPTS / "save_model.lua").read_text())

    def _key(self, partition: int, name: str) -> str:
        return f"{prefix_of(self._prefix, self.generation)}:{{{self._topic}:{partition}}}:{name}"

    def _customer(self, partition: int, customer_id: str) -> str:
        return self._key(partition, f"c{STATE_VERSION}:{customer_id}")

    def _customers(self, partition: int, customers: Sequence[str]) -> list[str]:
        prefix = self._customer(partition, "")
        return [prefix + customer for customer in customers]

    async def claim(self, partition: int, owner: str) -> Claim:
        """Take the partition with a greater epoch; see `PartitionStore.claim`."""
        with translated():
            keys = [self._key(partition, "wm"), self._key(partition, "out")]
            flat, entries = await self._claim(keys=keys, args=[owner])
        fields = dict(zip(texts(flat[::2]), texts(flat[1::2]), strict=True))
        return Claim(
            epoch=int(fields["epoch"]),
            positions=numbers(fields, "next:"),
            clock=int(fields.get("clock", 0)),
            pending=tuple(Pending(i.decode(), _outgoing.decode(pair[1])) for i, pair in entries),
        )

    async def apply(self, partition: int, epoch: int, batch: Batch) -> Applied:
        """Write a batch, all or nothing; see `PartitionStore.apply`."""
        keys = [self._key(partition, name) for name in ("wm", "due", "out")]
        keys += self._customers(partition, [write.customer_id for write in batch.customers])
        args: list[Any] = [epoch, batch.id, batch.after, batch.topic]
        args += [batch.base, batch.next, batch.clock]
        args += group([pair for pair in batch.counts.items() if pair[1]])
        args += group([customer_args(write) for write in batch.customers])
        args += group([(p.id, msgspec.msgpack.encode(p.message)) for p in batch.outbox])
        with translated():
            status, position, due = await self._apply(keys=keys, args=args)
        next_due = None if due == b"inf" else int(float(due))
        return Applied(ApplyStatus(status.decode()), int(position), next_due)

    async def load(self, partition: int, customers: Sequence[str]) -> list[CustomerState | None]:
        """Read states; see `PartitionStore.load`."""
        if not customers:
            return []
        with translated():
            reply = await self._redis.mget(self._customers(partition, customers))
        values = cast("list[bytes | None]", reply)
        return [None if value is None else unpacked(value) for value in values]

    async def due(self, partition: int, until: int, limit: int) -> list[str]:
        """List customers due; see `PartitionStore.due`."""
        with translated():
            key = self._key(partition, "due")
            found = await self._redis.zrangebyscore(key, "-inf", until, start=0, num=limit)
        return texts(found)

    async def sample(self, partition: int, count: int) -> tuple[int, list[str]]:
        """Draw customers; see `PartitionStore.sample`."""
        key = self._key(partition, "due")
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zcard(key)
                pipe.zrandmember(key, -count)
                population, drawn = await pipe.execute()
        return population, texts(drawn)

    async def scan(self, partition: int, cursor: int, count: int) -> tuple[int, list[str]]:
        """Walk customers; see `PartitionStore.scan`."""
        key = self._key(partition, "due")
        with translated():
            following, pairs = await self._redis.zscan(key, cursor, count=count)
        return following, texts([member for member, _ in pairs])

    async def trim(self, partition: int, ids: Sequence[str]) -> None:
        """Remove published outbox entries; see `PartitionStore.trim`."""
        if ids:
            with translated():
                await self._redis.xdel(self._key(partition, "out"), *ids)

    async def counters(self, partition: int) -> dict[str, int]:
        """Read the counters, the clock and the next offsets (``next:<topic>``) of a partition."""
        with translated():
            reply = await cast(
                "Awaitable[dict[bytes, bytes]]", self._redis.hgetall(self._key(partition, "wm"))
            )
        fields = dict(zip(texts(reply), texts(reply.values()), strict=True))
        found = numbers(fields, "count:")
        found |= {f"next:{topic}": at for topic, at in numbers(fields, "next:").items()}
        return found | {"clock": int(fields.get("clock", 0))}

    async def serving(self) -> int:
        """Return the generation of customers that serves."""
        with translated():
            return int(await self._redis.get(f"{self._prefix}:generation") or 1)

    async def follow(self) -> None:
        """Work on the generation that serves from now on."""
        self.generation = await self.serving()

    async def owner(self, partition: int) -> str:
        """Name the process that claimed the partition last; empty when none ever did."""
        with translated():
            reply = self._redis.hget(self._key(partition, "wm"), "owner")
            value = await cast("Awaitable[bytes | None]", reply)
        return (value or b"").decode()

    async def outbox_length(self, partition: int) -> int:
        """Count the messages that wait to be published."""
        with translated():
            return int(await self._redis.xlen(self._key(partition, "out")))

    async def latest_version(self) -> int:
        """Return the newest model version, 0 when there is none."""
        with translated():
            return int(await self._redis.get(f"{self._prefix}:{{models}}:latest") or 0)

    async def load_model(self, version: int) -> ModelSnapshot | None:
        """Return one snapshot, None if it is not kept; SnapshotError if it cannot be used."""
        with translated():
            reply = self._redis.hget(f"{self._prefix}:{{models}}:history", str(version))
            value = await cast("Awaitable[bytes | None]", reply)
        return None if value is None else read_snapshot(value)

    async def save_model(
        self, snapshot: ModelSnapshot, names: Mapping[int, str] | None = None
    ) -> bool:
        """Store a snapshot if it is exactly the next one; see `ModelStore.save_model`."""
        keys = [f"{self._prefix}:{{models}}:{name}" for name in ("latest", "history", "names")]
        args: list[Any] = [snapshot.version, snapshot.model_dump_json()]
        args += [] if names is None else group(list(names.items()))
        with translated():
            return bool(await self._save(keys=keys, args=args))

    async def names(self) -> dict[int, str]:
        """Read the names that the user gave, by segment id."""
        with translated():
            reply = self._redis.hgetall(f"{self._prefix}:{{models}}:names")
            found = await cast("Awaitable[dict[bytes, bytes]]", reply)
        return {int(segment): name.decode() for segment, name in found.items()}

    async def settle(self, facts: dict[str, str]) -> dict[str, str]:
        """Write facts that must never change under stored state, once; return what is stored."""
        key = f"{prefix_of(self._prefix, self.generation)}:meta"
        with translated():
            async with self._redis.pipeline(transaction=True) as pipe:
                for name, value in facts.items():
                    pipe.hsetnx(key, name, value)
                pipe.hgetall(key)
                *_, stored = await pipe.execute()
        return dict(zip(texts(stored), texts(stored.values()), strict=True))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
