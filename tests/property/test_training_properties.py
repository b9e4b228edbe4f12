from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.identity import trace
from stream_app.core.segments import name_segments
from stream_app.core.training import Trainer, TrainingConfig
from tests.builders import FEATURES
from tests.populations import a_population, feed

AMOUNT = st.integers(0, 10**7).map(lambda n: n / 100)
SHARE = st.integers(0, 100).map(lambda n: n / 100)
GROUP = st.tuples(AMOUNT, AMOUNT, AMOUNT, AMOUNT, AMOUNT, AMOUNT, SHARE, SHARE, AMOUNT)
PROFILE = GROUP.map(lambda values: dict(zip(FEATURES.names, values, strict=True)))


@st.composite
def two_clusterings(draw: st.DrawFn) -> tuple[list[int], list[int], int, int]:
    before, after = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    pairs = draw(
        st.lists(st.tuples(st.integers(0, before - 1), st.integers(0, after - 1)), min_size=1)
    )
    return [i for i, _ in pairs], [j for _, j in pairs], before, after


@given(two_clusterings())
def test_fates_name_every_segment_once_and_ids_are_never_reused(
    clusterings: tuple[list[int], list[int], int, int],
) -> None:
    old, new, before, after = clusterings
    ids = list(range(11, 11 + before))

    traced = trace(np.array(old), np.array(new), ids, after, 100)

    assert sorted(i for f in traced.fates for i in f.old) == ids
    assert sorted(i for f in traced.fates for i in f.new) == sorted(traced.ids)
    assert len(set(traced.ids)) == after
    assert all(i in ids or 100 <= i < traced.next_id for i in traced.ids)
    assert all(f.old == f.new for f in traced.fates if f.kind == "kept")


@given(st.lists(PROFILE, min_size=1, max_size=20), PROFILE, st.data())
def test_names_are_unique_and_stay_when_nothing_moved(
    profiles: list[dict[str, float]], population: dict[str, float], data: st.DataObject
) -> None:
    names = name_segments(profiles, population, [None] * len(profiles))

    assert len(set(names)) == len(profiles)
    assert name_segments(profiles, population, names) == names
    order = data.draw(st.permutations(range(len(profiles))))
    shuffled = name_segments([profiles[i] for i in order], population, [names[i] for i in order])
    assert shuffled == [names[i] for i in order]


@settings(max_examples=15)
@given(st.lists(st.lists(GROUP, min_size=1, max_size=5), min_size=2, max_size=3), st.integers(0, 8))
def test_whatever_the_population_does_every_snapshot_is_sound(
    eras: list[list[tuple[float, ...]]], k: int
) -> None:
    config = TrainingConfig(
        k=k, warmup_customers=50, warmup_days=0, window=200, check_every=50, guard_every=100
    )
    trainer = Trainer(FEATURES, config)

    published = [s for era in eras for s in feed(trainer, a_population(80, era), 400)]

    for snapshot in published:
        assert np.isfinite(snapshot.centres).all()
        assert len({s.id for s in snapshot.segments}) == len(snapshot.segments)
        assert len({s.name for s in snapshot.segments}) == len(snapshot.segments)
        assert sum(s.share for s in snapshot.segments) == pytest.approx(1)
        assert np.abs(snapshot.centres).max() <= config.clip + 1e-12
    for before, after in pairwise(published):
        assert after.version == before.version + 1
        assert {i for f in after.fates for i in f.old} == {s.id for s in before.segments}
        born = {s.id for s in after.segments} - {s.id for s in before.segments}
        assert all(i >= before.training.next_segment_id for i in born)
