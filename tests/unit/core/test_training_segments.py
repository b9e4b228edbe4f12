"""The life of a segment: through a change of scales, a restart, and its end."""

from dataclasses import replace

import numpy as np
import pytest

from stream_app.contracts import ModelSnapshot, Scaling, Segment, SegmentFate, Training
from stream_app.core import clustering
from stream_app.core.live import LiveModel
from stream_app.core.model import Matrix, coordinates
from stream_app.core.online import OnlineKMeans
from stream_app.core.training_config import TrainingConfig
from tests.builders import START

CONFIG = TrainingConfig(k=2, clip=50.0)
PLACES = (0.0, 5.0, 6.0)


def groups(*customers: int, places: tuple[float, ...] = PLACES, seed: int = 3) -> Matrix:
    """So many customers around each place on a line."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(x, 0.1, (n, 1)) for x, n in zip(places, customers, strict=True)]
    return np.concatenate(parts)


def published(shares: tuple[float, ...], points: Matrix) -> ModelSnapshot:
    """Version 7: segments 4, 5, 6 at the three places, with these shares."""
    scaling = clustering.robust_scaling(points, [1.0], CONFIG.clip)
    at = coordinates(np.array([[x] for x in PLACES]), scaling).tolist()
    return ModelSnapshot(
        version=7,
        feature_set="v",
        features=("x",),
        scaling=scaling,
        centres=tuple(map(tuple, at)),
        segments=tuple(
            Segment(id=4 + i, name=f"s{i}", share=share, profile={"x": PLACES[i]})
            for i, share in enumerate(shares)
        ),
        training=Training(
            cause="warm-up",
            samples=1000,
            customers=900,
            counts=(3.0, 30.0, 20.0),
            inertia_ratio=1.25,
            silhouette={3: 0.5},
            stability={3: 0.75},
            next_segment_id=11,
        ),
        event_time=START,
        created_at=START,
    )


def fate(kind: str, old: tuple[int, ...], new: tuple[int, ...]) -> SegmentFate:
    return SegmentFate.model_validate({"kind": kind, "old": old, "new": new})


MERGED = (fate("kept", (4,), (4,)), fate("merged", (5, 6), (5,)))
DIED = (fate("kept", (4,), (4,)), fate("kept", (5,), (5,)), fate("died", (6,), ()))


@pytest.mark.parametrize(("once", "fates"), [(0.41, DIED), (0.4, MERGED)])
def test_a_segment_that_lost_over_half_of_its_greatest_share_died_a_larger_one_merged(
    once: float, fates: tuple[SegmentFate, ...]
) -> None:
    """A fifth of the customers is left of segment 6 when two segments must do."""
    points = groups(40, 40, 20)
    live = LiveModel.resume(CONFIG, published((0.2, 0.8 - once, once), points))

    assert live.guard(points) == "reseed"

    assert (live.ids, live.fates) == ([4, 5], fates)


@pytest.mark.parametrize(("once", "later"), [(0.5, 30), (0.25, 50)])
def test_the_greatest_share_is_remembered_whether_a_segment_had_it_at_first_or_grew(
    once: float, later: int
) -> None:
    points = groups(40, 60 - later, later, places=(0.0, 4.7, 6.2))
    live = LiveModel.resume(CONFIG, published((0.25, 0.75 - once, once), points))
    assert live.follow(points) == "drift"
    live.mark_published()

    assert live.guard(groups(40, 40, 20)) == "reseed"

    assert live.fates == DIED


def test_the_first_model_remembers_its_shares_too() -> None:
    live = LiveModel.start(replace(CONFIG, k=3), groups(40, 20, 40), [1.0], 1)

    assert live.guard(groups(30, 30, 30, 10, places=(-6.0, 0.0, 5.0, 6.0))) == "reseed"

    assert fate("died", (3,), ()) in live.fates


def test_a_first_model_numbers_its_segments_from_the_id_given_and_all_are_born() -> None:
    live = LiveModel.start(replace(CONFIG, k=3, clip=4.0), groups(40, 20, 40), [0.5], 8)

    assert (live.ids, live.next_id) == ([8, 9, 10], 11)
    assert live.fates == tuple(fate("born", (), (i,)) for i in (8, 9, 10))
    assert (live.scaling.weight, live.scaling.clip) == ((0.5,), 4.0)
    assert clustering.unscale(live.centres, live.scaling)[:, 0] == pytest.approx(PLACES, abs=0.1)
    assert live.counts == [40, 20, 40]
    assert live.choice.silhouette == {}


def test_a_number_of_segments_that_is_not_set_is_chosen_at_the_start() -> None:
    points = groups(40, 40, 40, 40, places=(0.0, 4.0, 8.0, 12.0))

    live = LiveModel.start(replace(CONFIG, k=0), points, [1.0], 1)

    assert len(live.centres) == live.choice.best() == 4


def test_a_model_goes_on_from_everything_a_snapshot_tells() -> None:
    snapshot = published((0.3, 0.3, 0.4), groups(30, 30, 40))

    live = LiveModel.resume(replace(CONFIG, k=0), snapshot)

    assert (live.ids, live.next_id) == ([4, 5, 6], 11)
    assert live.ratio == 1.25
    assert live.choice == ({3: 0.5}, {3: 0.75})
    assert live.counts == [3.0, 30.0, 20.0]
    assert live.centres.tolist() == [list(row) for row in snapshot.centres]
    assert live.fates == tuple(fate("kept", (i,), (i,)) for i in (4, 5, 6))


def test_online_learning_scales_cuts_and_weighs_as_serving_does() -> None:
    scaling = Scaling(centre=(1.0, 0.5), scale=(2.0, 4.0), weight=(1.0, 0.5), clip=3.0)
    for x in ([4.0, 2.5], [100.0, -100.0], [-100.0, 100.0]):
        live = LiveModel(CONFIG, scaling, OnlineKMeans(np.zeros((1, 2)), [0.0], 40.0), [1])

        live.learn(x)

        assert live.centres == pytest.approx(coordinates(np.array([x]), scaling))


def natural(matrix: Matrix, live: LiveModel) -> Matrix:
    return clustering.unscale(matrix, live.scaling)


def test_a_fresh_scaling_moves_no_centre_and_is_published_although_the_centres_fit() -> None:
    """Both groups stay where they are, but so many change that the median changes sides."""
    live = LiveModel.start(CONFIG, groups(150, 460, places=(0.0, 10.0)), [1.0], 1)
    live.mark_published()
    before, scaling = natural(live.centres, live), live.scaling

    assert live.guard(groups(460, 150, places=(0.0, 10.0), seed=4)) == "drift"

    assert scaling.centre[0] > 9.5
    assert abs(live.scaling.centre[0]) < 0.1
    assert live.ratio == pytest.approx(1.0, abs=0.02)
    assert natural(live.published.matrix, live) == pytest.approx(before, abs=1e-9)
    assert natural(live.centres, live) == pytest.approx(before, abs=0.05)
    assert live.fates == (fate("kept", (1,), (1,)), fate("kept", (2,), (2,)))


def test_while_the_population_has_not_outgrown_the_scaling_it_stays() -> None:
    live = LiveModel.start(CONFIG, groups(300, 310, places=(0.0, 10.0)), [1.0], 1)
    scaling = live.scaling
    live.mark_published()

    assert live.guard(groups(310, 300, places=(0.0, 10.5))) == "drift"

    assert live.scaling == scaling
