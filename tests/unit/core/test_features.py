import msgspec
import pytest

from stream_app.core.features import OPTIONAL, FeatureSet
from stream_app.core.folds import (
    MAX_CATEGORIES,
    MAX_CHANNELS,
    CustomerState,
    ProfileState,
    fold_order,
    fold_profile,
    is_duplicate,
    remember,
)
from tests.builders import FEATURES, a_state, an_order, day

HALF_LIFE_MS = FEATURES.half_life_ms
EVERYTHING = FeatureSet.build(60.0, tuple(OPTIONAL))


def named(state: CustomerState, at: float, features: FeatureSet = FEATURES) -> dict[str, float]:
    return dict(zip(features.names, features.vector(state, day(at)), strict=True))


def test_a_purchase_is_counted_with_everything_it_says() -> None:
    state = a_state(an_order(discount=5_000_000, lines=3, channel="web"))

    assert (state.orders, state.spend, state.discount, state.lines) == (1, 20_000_000, 5_000_000, 3)
    assert (state.decayed_orders, state.decayed_spend) == (1.0, 20.0)
    assert state.channels == {"web": 1}


def test_decayed_sums_equal_the_direct_formula() -> None:
    bought = [(0, 10.0), (30, 40.0), (90, 5.0), (91.5, 7.0)]
    state = a_state(*[an_order(f"e{at}", at, total) for at, total in bought])

    weights = [0.5 ** ((91.5 - at) / 60) for at, _ in bought]
    assert state.decayed_orders == pytest.approx(sum(weights), abs=1e-5)
    assert state.decayed_spend == pytest.approx(
        sum(w * total for w, (_, total) in zip(weights, bought, strict=True)), abs=1e-3
    )


def test_a_late_purchase_weighs_less_and_moves_only_the_first_purchase() -> None:
    state = a_state(an_order("new", 60), an_order("late", 0))

    assert (state.first, state.last) == (day(0), day(60))
    assert state.decayed_orders == 1.5


def test_a_refund_is_counted_and_leaves_purchases_alone() -> None:
    state = a_state(an_order("e1", 0, 50.0))
    before = msgspec.structs.asdict(state)

    fold_order(state, an_order("r1", 3, 20.0, refund=True), HALF_LIFE_MS)

    changed = {k: v for k, v in msgspec.structs.asdict(state).items() if v != before[k]}
    assert changed.keys() == {"refunds", "refunded"}
    assert (state.refunds, state.refunded) == (1, 20_000_000)
    assert named(state, 3)["refund_share"] == 0.4


def test_a_refund_before_the_first_purchase_does_not_make_it_older() -> None:
    state = a_state(an_order("r1", 0, refund=True), an_order("e1", 10))

    assert state.first == state.last == day(10)
    assert state.orders == 1


def test_the_last_16_events_are_remembered_and_the_17th_is_forgotten() -> None:
    state = a_state(*[an_order(f"e{i}", i) for i in range(16)])
    assert all(is_duplicate(state, f"e{i}") for i in range(16))
    assert not is_duplicate(CustomerState(), "e0")

    remember(state, "one-more")

    assert not is_duplicate(state, "e0")
    assert all(is_duplicate(state, f"e{i}") for i in range(1, 16))


def test_only_the_first_coordinate_depends_on_now() -> None:
    state = a_state(an_order("e1", 0), an_order("e2", 7, categories=(("tea", 9_000_000),)))
    fold_profile(state, ProfileState(day(1), birth_year=1980, gender="male", interests=("tea",)))

    early, late = (EVERYTHING.vector(state, day(n)) for n in (8, 500))

    assert (early[0], late[0]) == (1.0, 493.0)
    assert early[1:] == late[1:]


def test_missing_values_have_their_documented_defaults() -> None:
    values = named(a_state(an_order(total=0.0)), -1, EVERYTHING)

    assert values["recency_days"] == 0
    assert values["mean_gap_days"] == 180.0
    assert values["tenure_days"] == 0
    assert values["average_basket"] == 0
    assert values["discount_share"] == values["refund_share"] == 0
    assert values["category_breadth"] == 0
    assert values["age"] == 45.0
    assert values["gender_female"] == values["gender_male"] == values["interest_affinity"] == 0


def test_every_standard_feature_of_a_small_history_by_hand() -> None:
    first = an_order("e1", 0, 30.0, discount=10_000_000, categories=(("tea", 1), ("jam", 1)))
    state = a_state(first, an_order("e2", 60, 50.0, discount=10_000_000))

    values = named(state, 61.5)

    assert values.pop("category_breadth") == pytest.approx(2, rel=0.05)
    assert values == {
        "recency_days": 1.5,
        "decayed_orders": 1.5,
        "decayed_spend": 65.0,
        "average_basket": 40.0,
        "mean_gap_days": 60.0,
        "tenure_days": 60.0,
        "discount_share": 0.2,
        "refund_share": 0.0,
    }


def test_refunds_of_more_than_was_paid_are_a_share_of_one() -> None:
    state = a_state(an_order(total=10.0), an_order("r", total=90.0, refund=True))

    assert named(state, 0)["refund_share"] == 1.0


def test_category_breadth_counts_distinct_categories_roughly_and_stays_finite() -> None:
    state = CustomerState()
    for i in range(12):
        fold_order(state, an_order(f"e{i}", i, categories=((f"c{i}", 1),)), HALF_LIFE_MS)
    assert named(state, 12)["category_breadth"] == pytest.approx(12, rel=0.25)

    everything = tuple((f"c{i}", 1) for i in range(600))
    fold_order(state, an_order("all", 13, categories=everything), HALF_LIFE_MS)
    assert 64 < named(state, 13)["category_breadth"] < 300


def test_the_table_of_categories_keeps_the_eight_with_most_recent_spend() -> None:
    wares = tuple((f"c{i}", (i + 1) * 1_000_000) for i in range(12))
    state = a_state(an_order(categories=wares))

    assert sorted(state.categories) == sorted(f"c{i}" for i in range(4, 12))
    assert len(state.categories) == MAX_CATEGORIES


def test_old_interests_fade_and_make_room() -> None:
    old = an_order("e1", 0, categories=tuple((f"old{i}", 10_000_000) for i in range(8)))
    state = a_state(old, an_order("e2", 240, categories=(("new", 1_000_000),)))

    assert state.categories["new"] == 100
    assert state.categories["old7"] == pytest.approx(1000 / 16, abs=1)
    assert len(state.categories) == MAX_CATEGORIES


def test_channels_are_bounded_and_the_rest_is_other() -> None:
    state = a_state(*[an_order(f"e{i}", i, channel=f"ch{i}") for i in range(20)])

    assert len(state.channels) == MAX_CHANNELS
    assert state.channels["other"] == 20 - (MAX_CHANNELS - 1)
    fold_order(state, an_order("again", 21, channel="ch0"), HALF_LIFE_MS)
    assert state.channels["ch0"] == 2


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_the_newest_profile_wins_whatever_the_order(order: tuple[int, ...]) -> None:
    state = CustomerState()
    for n in order:
        fold_profile(state, ProfileState(day(n), birth_year=1970 + n))

    assert state.profile == ProfileState(day(3), birth_year=1973)


def test_folding_a_profile_tells_whether_it_changed_anything() -> None:
    state = CustomerState()
    told = [fold_profile(state, ProfileState(day(n))) for n in (2, 2, 1)]

    assert told == [True, False, False]


def test_optional_features_read_the_profile() -> None:
    state = a_state(an_order(categories=(("Tea", 3_000_000), ("jam", 1_000_000))))
    fold_profile(
        state, ProfileState(day(0), birth_year=1996, gender="female", interests=("tea", "books"))
    )

    values = named(state, 1, EVERYTHING)

    assert (values["age"], values["gender_female"], values["gender_male"]) == (30, 1, 0)
    assert values["interest_affinity"] == 0.75


def test_the_version_changes_with_the_half_life_and_the_options() -> None:
    options: list[tuple[str, ...]] = [(), ("age",), ("gender",), ("age", "gender", "interests")]
    versions = {FeatureSet.build(h, o).version for h in (30, 60, 60.5) for o in options}

    assert len(versions) == 3 * len(options)


def test_half_lives_that_differ_in_the_seventh_digit_have_versions_of_their_own() -> None:
    assert FeatureSet.build(365.2421).version != FeatureSet.build(365.2422).version


def test_the_order_of_options_does_not_matter() -> None:
    one, other = (FeatureSet.build(60, o) for o in (("age", "gender"), ("gender", "age")))

    assert one == other
    assert one.names[: len(FEATURES.names)] == FEATURES.names


def test_the_transform_takes_logarithms_of_what_is_skewed_only() -> None:
    _, decayed_orders, *_, discount_share, _, _ = FEATURES.transform([1.0] * 9)

    assert decayed_orders == pytest.approx(0.6931471805599453)
    assert discount_share == 1.0
