import numpy as np
import pytest

from stream_app.core import clustering
from stream_app.core.model import Matrix, coordinates
from stream_app.core.online import OnlineKMeans
from stream_app.core.reservoir import Reservoir


def blobs(centres: list[list[float]], each: int = 100) -> Matrix:
    noise = np.random.default_rng(3).normal(0, 0.3, (each * len(centres), len(centres[0])))
    return np.asarray(noise + np.repeat(np.array(centres), each, axis=0), dtype=np.float64)


def test_scaling_is_median_and_interquartile_range_and_survives_constant_columns() -> None:
    mostly_zero = np.zeros(101)
    mostly_zero[:10] = 2.0
    columns = np.column_stack([np.arange(101.0), mostly_zero, np.full(101, 7.0)])

    scaling = clustering.robust_scaling(columns, [1.0, 0.5, 0.5], clip=5.0)

    assert scaling.centre == (50.0, 0.0, 7.0)
    assert scaling.scale == pytest.approx((50.0, float(mostly_zero.std()) * 0.675, 1.0))


def test_a_category_however_rare_weighs_no_more_than_one_scale_of_money() -> None:
    rare = (np.arange(1000) % 50 == 0).astype(np.float64)
    columns = np.column_stack([np.random.default_rng(1).normal(0, 1, 1000), rare])

    scaling = clustering.robust_scaling(columns, [1.0, 0.25], clip=5.0)

    assert scaling.scale[1] == 1.0
    points = coordinates(np.array([[0.0, 0.0], [0.0, 1.0]]), scaling)
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("shift", "factor", "moved"),
    [
        (0.99, 1, False),
        (1.01, 1, True),
        (-1.01, 1, True),
        (0, 1.34, False),
        (0, 1.36, True),
        (0, 1 / 1.34, False),
        (0, 1 / 1.36, True),
    ],
)
def test_scaling_is_outgrown_when_medians_move_by_a_scale_or_scales_change_by_a_third(
    shift: float, factor: float, *, moved: bool
) -> None:
    column = np.linspace(-1, 1, 101).reshape(-1, 1)
    old = clustering.robust_scaling(column, [1.0], 5.0)

    new = clustering.robust_scaling(column * factor + shift * old.scale[0], [1.0], 5.0)

    assert clustering.has_moved(old, new) is moved


def test_unscaling_a_centre_gives_back_its_features() -> None:
    features = np.random.default_rng(1).normal(3, 2, (200, 4))
    scaling = clustering.robust_scaling(features, [1.0, 0.5, 0.7, 0.4], 5.0)

    back = clustering.unscale(coordinates(features[:5], scaling), scaling)

    assert back == pytest.approx(features[:5])


def test_no_more_clusters_come_back_than_there_are_distinct_points() -> None:
    points = np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0)

    assert len(clustering.kmeans(points, 6, seed=1)) == 2
    assert clustering.silhouettes(points, seed=1) == {}


def test_a_refined_centre_stays_in_its_row() -> None:
    start = np.array([[5.5, 0.5], [0.5, 0.5]])

    refined = clustering.refine(blobs([[0, 0], [5, 0]]), start)

    assert refined == pytest.approx(np.array([[5.0, 0.0], [0.0, 0.0]]), abs=0.1)


def test_an_online_centre_is_the_exponentially_weighted_mean_of_its_samples() -> None:
    xs = np.random.default_rng(4).normal(0, 1, 50)
    online = OnlineKMeans(np.array([[0.0]]), [0.0], half_life=10)

    for x in xs.tolist():
        online.learn([x])

    weights = 0.5 ** (np.arange(49, -1, -1) / 10)
    assert online.centres[0, 0] == pytest.approx(float(weights @ xs / weights.sum()))
    assert online.counts == pytest.approx([weights.sum()])


def test_only_the_nearest_online_centre_learns() -> None:
    online = OnlineKMeans(np.array([[0.0, 0.0], [4.0, 4.0]]), [3.0, 1.0], half_life=1e9)

    online.learn([4.0, 6.0])

    assert online.centres == pytest.approx(np.array([[0.0, 0.0], [4.0, 5.0]]))


def test_the_reservoir_holds_each_customer_once_as_last_seen() -> None:
    reservoir = Reservoir(window=100)

    for i in range(60):
        reservoir.add("heavy" if i % 2 else f"c{i}", [float(i)])

    assert len(reservoir) == len(reservoir.natural) == 31
    assert reservoir.natural[-1] == [59.0]
    assert not reservoir.full


def test_the_reservoir_forgets_who_left_the_window() -> None:
    reservoir = Reservoir(window=10)

    for i in range(25):
        reservoir.add(f"c{i}", [float(i)])

    assert reservoir.natural[:, 0].tolist() == [float(i) for i in range(15, 25)]
    assert reservoir.full


def test_a_scale_hardly_changes_when_a_quarter_of_the_customers_becomes_a_little_less() -> None:
    """The lower quartile lies between two groups apart: on one side or on the other."""
    before, after = (
        clustering.robust_scaling(np.repeat([[0.0], [6.0], [7.0]], counts, axis=0), [1.0], 5.0)
        for counts in ([255, 495, 250], [245, 505, 250])
    )

    assert after.scale[0] == pytest.approx(before.scale[0], rel=0.1)
