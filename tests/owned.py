"""A pipeline that owns its partition."""

from dataclasses import dataclass

from stream_app.adapters.memory_store import MemoryStore
from stream_app.core.features import FeatureSet
from stream_app.core.folds import CustomerState
from stream_app.core.model import Models
from stream_app.pipeline import Outcome, Pipeline, Session
from tests.builders import (
    FAR,
    FEATURES,
    PURCHASES,
    ARecord,
    a_chunk,
    a_pipeline,
    a_session,
)


@dataclass
class Shop:
    """A pipeline on a store in memory that owns its partition."""

    pipeline: Pipeline
    store: MemoryStore
    session: Session

    @classmethod
    async def open(
        cls, models: Models | None = None, features: FeatureSet = FEATURES, room: int = 50_000
    ) -> "Shop":
        store = MemoryStore()
        session = await a_session(store, room=room)
        return cls(a_pipeline(store, models, features), store, session)

    async def take(self, *records: ARecord, topic: str = PURCHASES) -> Outcome:
        return await self.pipeline.process(self.session, a_chunk(*records, topic=topic), FAR)

    async def stored(self, customer: str = "ann") -> CustomerState | None:
        return (await self.store.load(0, [customer]))[0]
