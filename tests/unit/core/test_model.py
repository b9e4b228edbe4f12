from collections.abc import Sequence
from math import inf

import numpy as np
import pytest

from stream_app.contracts import Scaling
from stream_app.core.features import FeatureSet
from stream_app.core.model import Matrix, Models, SegmentModel, Spots
from stream_app.core.model import due as due_at
from stream_app.core.snapshots import SnapshotError, UnknownFeatureSetError
from tests.builders import DAY, FEATURES, a_snapshot, axis, day
from tests.placing import Place, a_change, a_place, located

REST = (0.0,) * 8
SCALING = Scaling(centre=(1.0,) * 9, scale=(2.0,) * 9, weight=(0.5,) * 9, clip=3.0)


def contributions(
    model: SegmentModel, point: Sequence[float], former: Sequence[float] | None = None
) -> Matrix:
    """What each coordinate of one point says for the second centre against the first."""
    known, before = np.array([former is not None]), np.array([former or point])
    return model.contributions(np.array([0]), np.array([1]), np.array([point]), before, known)


def a_model(*recencies: float, margin: float = 0.0) -> SegmentModel:
    """Centres on the recency axis alone."""
    names = tuple(f"S{i}" for i in range(len(recencies)))
    snapshot = a_snapshot(centres=tuple((x, *REST) for x in recencies), names=names)
    return SegmentModel(snapshot, FEATURES, margin)


def at(x: float) -> tuple[float, ...]:
    return (x, *REST)


def spots(model: SegmentModel, point: Sequence[float]) -> Spots:
    return model.spots(np.array([point]))


def place(model: SegmentModel, point: tuple[float, ...], own: int | None) -> Place:
    return a_place(model, spots(model, point), own)


def next_change(
    model: SegmentModel, point: tuple[float, ...], own: int
) -> tuple[float, int] | None:
    return a_change(model, spots(model, point), own)


def due(model: SegmentModel, point: tuple[float, ...], own: int, last: int, now: int) -> int:
    change = next_change(model, point, own)
    return due_at(change[0] if change else inf, last, now)


def test_coordinates_are_transformed_scaled_clipped_and_weighted() -> None:
    scaling = SCALING.model_copy(update={"centre": (*[1.0] * 7, 9.0, 1.0)})
    model = SegmentModel(a_snapshot(scaling=scaling), FEATURES, 0.1)
    vector = [0.0, 1.718281828459045, 1e9, 0, 0, 0, 0.5, 0, 3]

    (point,) = model.points(np.array([vector])).tolist()

    log_4 = 1.3862943611198906
    expected = [-0.25, 0.0, 1.5, -0.25, -0.25, -0.25, -0.125, -1.5, (log_4 - 1) / 2 / 2]
    assert point == pytest.approx(expected)


def test_a_newcomer_gets_the_nearest_centre() -> None:
    placement = place(a_model(0, 4), at(2.5), None)

    assert (placement.segment, placement.held) == (1, False)


def test_whoever_is_nearest_to_the_own_centre_stays() -> None:
    placement = place(a_model(0, 4), at(1.9), 0)

    assert (placement.segment, placement.margin, placement.held) == (0, 0.0, False)


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.3, 0.9])
def test_a_customer_leaves_only_for_a_centre_nearer_by_the_margin(margin: float) -> None:
    model = a_model(0, 1, margin=margin)
    edge = 1 / (2 - margin)  # where 1 - x = (1 - margin) x

    before, after = place(model, at(edge - 1e-6), 0), place(model, at(edge + 1e-6), 0)

    assert before.segment == 0
    assert before.held == (edge - 1e-6 > 0.5)
    assert (after.segment, after.held) == (1, False)
    assert after.margin == pytest.approx(margin, abs=1e-4)


def test_equally_near_is_not_nearer() -> None:
    placement = place(a_model(0, 4), at(2), 1)

    assert (placement.segment, placement.held) == (1, True)


def test_a_customer_on_the_border_does_not_flap() -> None:
    model = a_model(0, 1, margin=0.1)
    own, held, path = 0, 0, []
    for x in (0.48, 0.51, 0.49, 0.52, 0.48, 0.60, 0.51, 0.48, 0.51, 0.40):
        placement = place(model, at(x), own)
        own, held = placement.segment, held + placement.held
        path.append(own)

    assert path == [0, 0, 0, 0, 0, 1, 1, 1, 1, 0]
    assert held == 3


def test_the_margin_tells_how_much_nearer_the_new_centre_is() -> None:
    assert place(a_model(0, 4), at(3), 0).margin == pytest.approx(1 - 1 / 3)
    assert place(a_model(0, 4), at(4), 0).margin == 1.0


def test_contributions_sum_to_the_difference_of_the_squared_distances() -> None:
    model = SegmentModel(
        a_snapshot(centres=((1.0,) * 9, (2.0, *REST)), names=("A", "B")), FEATURES, 0
    )
    point = [0.1 * i for i in range(9)]
    ((old, new),) = spots(model, point).squared

    assert contributions(model, point).sum() == pytest.approx(old - new)


def test_silence_moves_a_customer_to_the_next_centre_at_the_midpoint_of_the_axis() -> None:
    change = next_change(a_model(1, 3), at(0), 0)

    assert change is not None
    assert axis(change[0]) == pytest.approx(2.0)
    assert change[1] == 1


def test_the_earliest_of_several_centres_wins() -> None:
    change = next_change(a_model(1, 9, 3, 2.5), at(1), 0)

    assert change is not None
    assert change[1] == 3


@pytest.mark.parametrize(("x", "own"), [(2.9, 0), (1.1, 1)])
def test_where_another_centre_is_nearer_already_it_wins_at_once(x: float, own: int) -> None:
    change = next_change(a_model(1, 3), at(x), own)

    assert change is not None
    assert axis(change[0]) == pytest.approx(x)
    assert change[1] == 1 - own


def test_silence_of_more_than_a_century_is_never() -> None:
    soon, late = a_model(axis(20_000), axis(40_000)), a_model(axis(30_000), axis(60_000))

    assert next_change(soon, at(axis(20_000)), 0) is not None
    assert next_change(late, at(axis(30_000)), 0) is None


def test_nothing_follows_the_last_centre() -> None:
    assert next_change(a_model(1, 3, 5), at(5), 2) is None
    assert due(a_model(1, 3, 5), at(5), 2, day(0), day(1)) == 0


def test_where_recency_is_clipped_time_stands_still() -> None:
    scaling = a_snapshot().scaling.model_copy(update={"clip": 2.0})
    snapshot = a_snapshot(centres=(at(1), at(3.5)), names=("A", "B"), scaling=scaling)
    model = SegmentModel(snapshot, FEATURES, 0.0)

    assert next_change(model, at(1), 0) is None
    assert a_place(model, located(model, (1e6, *REST)), 0).segment == 0


def test_due_is_the_first_millisecond_of_the_new_place_and_always_ahead() -> None:
    model = a_model(axis(10), axis(30))

    lapse = due(model, at(0), 0, day(0), day(0))

    places = [
        place(model, at(axis((moment - day(0)) / DAY)), 0).segment for moment in (lapse - 2, lapse)
    ]
    assert places == [0, 1]
    assert due(model, at(axis(29)), 0, day(0), day(90)) == day(90) + 1


def test_a_model_of_other_features_is_refused_with_both_names() -> None:
    with pytest.raises(UnknownFeatureSetError, match=r"model 7 .* v1-h60, .* computes v1-h30"):
        SegmentModel(a_snapshot(7), FeatureSet.build(30), 0.1)


def test_segments_are_found_by_their_lasting_id() -> None:
    model = a_model(1, 3)

    assert [model.index(i) for i in (1, 2, 3, 0)] == [0, 1, -1, -1]


def test_the_newest_version_serves_and_a_few_before_are_kept() -> None:
    models = Models(keep=3)
    assert not models
    for version in (1, 2, 5, 4, 3):
        models.add(SegmentModel(a_snapshot(version), FEATURES, 0.1))

    assert models
    assert models.current.version == 5
    assert [v for v in range(7) if models.get(v)] == [3, 4, 5]


def test_a_model_made_elsewhere_is_checked_before_it_scores() -> None:
    broken = a_snapshot(7).model_copy(update={"centres": ()})

    with pytest.raises(SnapshotError, match="model 7 cannot be used"):
        SegmentModel(broken, FEATURES, 0.1)


def test_against_a_former_point_contributions_are_the_difference_of_both() -> None:
    model = SegmentModel(
        a_snapshot(centres=((1.0,) * 9, (2.0, *REST)), names=("A", "B")), FEATURES, 0
    )
    now, then = [0.1 * i for i in range(9)], [0.3 * (i % 4) for i in range(9)]

    apart = contributions(model, now) - contributions(model, then)
    assert contributions(model, now, then) == pytest.approx(apart)
