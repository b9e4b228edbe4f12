"""Which models a worker serves, as the store gains, loses and changes versions."""

from stream_app.adapters.memory_store import MemoryStore
from stream_app.contracts import ModelSnapshot
from stream_app.core.model import Models
from stream_app.worker import refresh_models
from tests.builders import FEATURES, a_snapshot

MARGIN = 0.1


async def stored(*snapshots: ModelSnapshot) -> MemoryStore:
    store = MemoryStore()
    for snapshot in snapshots:
        assert await store.save_model(snapshot)
    return store


def called(version: int, name: str) -> ModelSnapshot:
    return a_snapshot(version, names=(name, "Quiet", "Gone"))


def serving(models: Models) -> tuple[int, str]:
    return models.current.version, models.current.segments[0].name


async def test_new_versions_are_served_and_former_ones_kept() -> None:
    models = Models()
    await refresh_models(await stored(called(1, "a")), models, FEATURES, MARGIN)

    store = await stored(called(1, "a"), called(2, "b"), called(3, "c"))
    await refresh_models(store, models, FEATURES, MARGIN)

    assert serving(models) == (3, "c")
    assert models.get(1)
    assert models.get(2)


async def test_what_a_store_that_was_rolled_back_forgot_is_served_no_longer() -> None:
    models = Models()
    await refresh_models(
        await stored(called(1, "a"), called(2, "b"), called(3, "c")), models, FEATURES, MARGIN
    )
    await refresh_models(await stored(called(1, "a")), models, FEATURES, MARGIN)
    assert serving(models) == (1, "a")

    await refresh_models(
        await stored(called(1, "a"), called(2, "decided anew")), models, FEATURES, MARGIN
    )

    assert serving(models) == (2, "decided anew")


async def test_a_store_that_lost_all_models_leaves_none_to_serve() -> None:
    models = Models()
    await refresh_models(await stored(called(1, "a")), models, FEATURES, MARGIN)

    await refresh_models(await stored(), models, FEATURES, MARGIN)

    assert not models


async def test_after_an_outage_the_same_number_may_be_another_model() -> None:
    models = Models()
    await refresh_models(await stored(called(1, "a")), models, FEATURES, MARGIN)

    await refresh_models(await stored(called(1, "other")), models, FEATURES, MARGIN, anew=True)

    assert serving(models) == (1, "other")
