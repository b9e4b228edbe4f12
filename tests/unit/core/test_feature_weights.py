import pytest

from stream_app.core.features import FeatureSet
from stream_app.core.folds import ProfileState
from tests.builders import a_state, day


def weight(features: FeatureSet, name: str) -> float:
    return next(f.weight for f in features.features if f.name == name)


def test_weights_replace_those_of_the_features_and_change_the_version() -> None:
    standard = FeatureSet.build(60.0)
    own = FeatureSet.build(60.0, weights={"recency_days": 1.5, "average_basket": 0.5})

    assert own.version == "v1-h60+average_basket=0.5+recency_days=1.5"
    assert (weight(own, "recency_days"), weight(own, "average_basket")) == (1.5, 0.5)
    assert weight(own, "tenure_days") == weight(standard, "tenure_days")
    assert standard.version == "v1-h60"


def test_a_weight_of_an_unknown_feature_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"unknown feature age; known: recency_days, "):
        FeatureSet.build(60.0, weights={"age": 1.0})

    assert weight(FeatureSet.build(60.0, ("age",), {"age": 1.0}), "age") == 1.0


@pytest.mark.parametrize(
    ("band", "income"),
    [
        ("Under 15K", 7.5), ("15-24K", 15), ("35-49K", 35), ("250K+", 250), ("<20", 10),
        ("unknown", 60), (None, 60),
    ],
)  # fmt: skip
def test_income_is_the_lower_end_of_the_declared_band(band: str | None, income: float) -> None:
    state = a_state()
    state.profile = ProfileState(updated=1, attributes={} if band is None else {"income": band})
    features = FeatureSet.build(60.0, ("income",))

    vector = features.vector(state, day(40))

    assert features.names[-1] == "income"
    assert vector[-1] == income
    assert features.version == "v1-h60+income"
