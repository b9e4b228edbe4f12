import pytest

from stream_app.core.segments import VOCABULARY, Profile, describe, name_segments
from stream_app.core.vocabulary import BOUNDS, is_wrong
from tests.builders import FEATURES

POPULATION = dict(
    zip(FEATURES.names, (9.0, 8.0, 250.0, 27.0, 9.0, 250.0, 0.15, 0.0, 11.0), strict=True)
)


def profile(**values: float) -> Profile:
    return POPULATION | values


BEST = profile(
    recency_days=1.2, decayed_orders=26, decayed_spend=790, mean_gap_days=3, tenure_days=360
)
STEADY = profile(recency_days=3, decayed_orders=11, decayed_spend=250, mean_gap_days=7)
FORMER_BEST = profile(
    recency_days=60, decayed_orders=22, decayed_spend=800, mean_gap_days=4, tenure_days=260
)
FORMER_AVERAGE = profile(
    recency_days=75, decayed_orders=5, decayed_spend=150, mean_gap_days=12, tenure_days=150
)
JUST_CAME = profile(
    recency_days=1.5, decayed_orders=1, decayed_spend=30, mean_gap_days=180, tenure_days=0
)
CAME_ONCE = profile(
    recency_days=20, decayed_orders=1, decayed_spend=30, mean_gap_days=180, tenure_days=0
)
GONE = profile(
    recency_days=160, decayed_orders=1.8, decayed_spend=25, mean_gap_days=30, tenure_days=70
)
PUNCTUAL_BUT_RARE = profile(
    recency_days=26, decayed_orders=3.5, decayed_spend=65, mean_gap_days=25, tenure_days=300
)
GETTING_LATE = profile(
    recency_days=26, decayed_orders=6, decayed_spend=180, mean_gap_days=15, tenure_days=300
)
STOCKING_UP = profile(recency_days=11, decayed_spend=380, average_basket=46, mean_gap_days=10)
ON_SALE = profile(discount_share=0.4)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (BEST, {"Champions"}),
        (STEADY, {"Loyal"}),
        (FORMER_BEST, {"Can't lose"}),
        (FORMER_AVERAGE, {"At risk"}),
        (JUST_CAME, {"New"}),
        (CAME_ONCE, {"One-timers"}),
        (GONE, {"Lost", "Hibernating"}),
        (PUNCTUAL_BUT_RARE, {"Occasional"}),
        (GETTING_LATE, {"Need attention"}),
        (STOCKING_UP, {"Big baskets"}),
        (ON_SALE, {"Bargain hunters"}),
    ],
)
def test_a_typical_profile_gets_the_name_a_marketer_expects(
    one: Profile, expected: set[str]
) -> None:
    assert name_segments([one], POPULATION, [None])[0] in expected


DEAD_SHOP = dict(
    zip(FEATURES.names, (420.0, 1.0, 23.0, 23.0, 180.0, 0.0, 0.0, 0.0, 1.0), strict=True)
)
GONE_ONCE = DEAD_SHOP | {"recency_days": 430.0}
GONE_BIG = DEAD_SHOP | {"recency_days": 440.0, "average_basket": 48.0, "decayed_spend": 52.0}
GONE_TWICE = DEAD_SHOP | {
    "recency_days": 390.0, "decayed_orders": 1.9, "mean_gap_days": 47.0, "tenure_days": 98.0,
}  # fmt: skip
SELDOM = DEAD_SHOP | {
    "recency_days": 101.0, "decayed_orders": 1.3, "mean_gap_days": 133.0, "tenure_days": 300.0,
}  # fmt: skip
ACTIVE = {"Champions", "Loyal", "Potential loyalists", "New", "Promising", "Need attention"}


@pytest.mark.parametrize("one", [GONE_ONCE, GONE_BIG, GONE_TWICE])
@pytest.mark.parametrize("copies", [1, 3])
def test_in_a_shop_where_nearly_everybody_is_gone_the_gone_are_not_average(
    one: Profile, copies: int
) -> None:
    names = name_segments([one] * copies, DEAD_SHOP, [None] * copies)

    assert not {name.rstrip(" 0123456789") for name in names} & (ACTIVE | {"Big baskets"})


@pytest.mark.parametrize("one", [GONE_ONCE, JUST_CAME, CAME_ONCE, SELDOM])
def test_one_order_or_one_in_months_is_never_loyalty(one: Profile) -> None:
    for population in (POPULATION, DEAD_SHOP):
        (name,) = name_segments([one], population, ["Loyal"])
        assert name not in {"Loyal", "Champions"}


def test_every_name_has_bounds() -> None:
    assert set(BOUNDS) == set(VOCABULARY)


def test_a_present_name_survives_a_small_step_beyond_its_bounds_and_no_large_one() -> None:
    late = profile(recency_days=95, mean_gap_days=40, decayed_orders=12)

    assert is_wrong("Loyal", late)
    assert not is_wrong("Loyal", late, slack=1.25)
    assert name_segments([late], late, ["Loyal"]) == ["Loyal"]
    assert name_segments([{**late, "recency_days": 120}], late, ["Loyal"]) != ["Loyal"]


def test_names_given_by_row_hold_and_learned_names_make_way() -> None:
    names = name_segments([BEST, GONE, STEADY], POPULATION, [None] * 3, {1: "Champions", 2: "VIP"})

    assert names[1:] == ["Champions", "VIP"]
    assert names[0] not in {"Champions", "VIP"}


def test_one_given_name_for_two_segments_is_numbered() -> None:
    assert name_segments([BEST, GONE], POPULATION, [None] * 2, {0: "VIP", 1: "VIP"}) == [
        "VIP",
        "VIP 2",
    ]


def test_a_whole_shop_gets_these_names() -> None:
    profiles = [BEST, STEADY, FORMER_BEST, FORMER_AVERAGE, JUST_CAME, GONE, STOCKING_UP]

    assert name_segments(profiles, POPULATION, [None] * 7) == [
        "Champions",
        "Loyal",
        "Can't lose",
        "At risk",
        "New",
        "Lost",
        "Big baskets",
    ]


@pytest.mark.parametrize("silent", [FORMER_BEST, FORMER_AVERAGE, GONE])
@pytest.mark.parametrize("others", [[], [BEST], [STEADY, ON_SALE], [FORMER_BEST] * 3])
def test_the_silent_are_never_called_champions_or_loyal(
    silent: Profile, others: list[Profile]
) -> None:
    names = name_segments([silent, *others], POPULATION, [None] * (1 + len(others)))

    assert describe(names[0]) not in {describe("Champions"), describe("Loyal")}


def test_twenty_segments_get_twenty_names() -> None:
    profiles = [profile(recency_days=4 * i, decayed_orders=20 - i / 2) for i in range(20)]

    names = name_segments(profiles, POPULATION, [None] * 20)

    assert len(set(names)) == 20
    assert all(describe(name) for name in names)


def test_two_segments_alike_share_a_name_and_a_number_tells_them_apart() -> None:
    assert set(name_segments([BEST, BEST], POPULATION, [None, None])) == {
        "Champions",
        "Champions 2",
    }


def test_a_small_drift_across_the_border_between_two_names_changes_no_name() -> None:
    steps = [
        profile(recency_days=10 + i, decayed_orders=5.5, decayed_spend=120, mean_gap_days=14)
        for i in range(30)
    ]
    free = [name_segments([step], POPULATION, [None])[0] for step in steps]
    border = next(i for i in range(29) if free[i] != free[i + 1])

    assert name_segments([steps[border + 1]], POPULATION, [free[border]]) == [free[border]]
    assert name_segments([steps[border]], POPULATION, [free[border + 1]]) == [free[border + 1]]


def test_a_name_is_given_up_when_another_fits_clearly_better() -> None:
    assert name_segments([GONE], POPULATION, ["Champions"]) == ["Lost"]


def test_a_name_that_a_user_gave_stays_and_the_rest_are_named_around_it() -> None:
    names = name_segments([GONE, BEST], POPULATION, ["Our VIPs", None])

    assert names == ["Our VIPs", "Champions"]


def test_the_order_of_segments_does_not_matter() -> None:
    profiles = [BEST, GONE, JUST_CAME, STOCKING_UP]

    forward = name_segments(profiles, POPULATION, [None] * 4)
    backward = name_segments(profiles[::-1], POPULATION, [None] * 4)

    assert forward == backward[::-1]


def test_each_name_says_what_it_means_and_what_to_do() -> None:
    for name in VOCABULARY:
        assert describe(name).endswith(".")
        assert ";" in describe(name)
    assert describe("Champions 3") == describe("Champions")
    assert not describe("Our VIPs")
