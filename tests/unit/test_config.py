import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.bootstrap import limits_of
from stream_app.config import (
    ClockMode,
    ConfigError,
    Settings,
    env_name,
    environment,
    load,
)
from stream_app.config_values import OPTIONAL_FEATURES, hide_password

SECRET = "s3cr3t-w0rd"  # noqa: S105


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("SEGMENTER_") or name in {"KAFKA_BROKER", "REDIS_URL"}:
            monkeypatch.delenv(name)


def test_without_any_variable_everything_has_a_default() -> None:
    settings = load()

    assert (settings.kafka_broker, settings.redis_url) == ("", "")
    assert settings.clock is ClockMode.WALL
    assert settings.rate("USD") == 1.0
    assert settings.rate("EUR") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://cache:6379"),
        ("REDIS_URL", "cache:6379"),
        ("REDIS_URL", "redis://[::1"),
        ("SEGMENTER_NAMESPACE", "has:colons"),
        ("SEGMENTER_NAMESPACE", ""),
        ("SEGMENTER_PARTITIONS", "0"),
        ("SEGMENTER_PARTITIONS", "four"),
        ("SEGMENTER_REPLICATION", "9"),
        ("SEGMENTER_IDEMPOTENCE", "perhaps"),
        ("SEGMENTER_SESSION_TIMEOUT", "0"),
        ("SEGMENTER_REBALANCE_TIMEOUT", "301"),
        ("SEGMENTER_CLOCK", "sundial"),
        ("SEGMENTER_MAX_EVENT_BYTES", "255"),
        ("SEGMENTER_MAX_SKEW_SECONDS", "-1"),
        ("SEGMENTER_MAX_SKEW_SECONDS", "inf"),
        ("SEGMENTER_OLDEST_EVENT", "long ago"),
        ("SEGMENTER_DEAD_LETTER_LIMIT", "1.1"),
        ("SEGMENTER_DEAD_LETTER_LIMIT", "-0.1"),
        ("SEGMENTER_BASE_CURRENCY", "usd"),
        ("SEGMENTER_RATES", "EUR"),
        ("SEGMENTER_RATES", "EUR=much"),
        ("SEGMENTER_RATES", "EUR=0"),
        ("SEGMENTER_RATES", "EUR=-1"),
        ("SEGMENTER_RATES", "EUR=nan"),
        ("SEGMENTER_RATES", "EUR=inf"),
        ("SEGMENTER_RATES", "eur=1.1"),
        ("SEGMENTER_HALF_LIFE_DAYS", "0"),
        ("SEGMENTER_HALF_LIFE_DAYS", "nan"),
        ("SEGMENTER_OPTIONAL_FEATURES", "age,shoe_size"),
        ("SEGMENTER_MARGIN", "1"),
        ("SEGMENTER_MARGIN", "-0.1"),
        ("SEGMENTER_K", "21"),
        ("SEGMENTER_WARMUP_CUSTOMERS", "49"),
        ("SEGMENTER_WARMUP_DAYS", "-1"),
        ("SEGMENTER_SAMPLE_SHARE", "11"),
        ("SEGMENTER_SAMPLE_FLOOR", "-1"),
        ("SEGMENTER_SAMPLE_FLOOR", "inf"),
        ("SEGMENTER_SEED", "x"),
        ("SEGMENTER_CHUNK_RECORDS", "4097"),
        ("SEGMENTER_CACHE_CUSTOMERS", "-1"),
        ("SEGMENTER_RESCORE_PER_SECOND", "0"),
        ("SEGMENTER_METRICS_PORT", "65536"),
        ("SEGMENTER_LOG_LEVEL", "LOUD"),
        ("SEGMENTER_GROUP", ""),
        ("SEGMENTER_TOPIC_PURCHASES", "no spaces please"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError, match=name):
        load()


def test_two_topics_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTER_TOPIC_PROFILES", "purchases")

    with pytest.raises(ConfigError, match="TOPIC_PROFILES"):
        load()


def test_several_wrong_values_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTER_K", "many")
    monkeypatch.setenv("SEGMENTER_MARGIN", "2")

    with pytest.raises(ConfigError, match=r"(?s)SEGMENTER_MARGIN.*SEGMENTER_K"):
        load()


def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTER_MARGINS", "0.2")

    with pytest.raises(ConfigError, match="unknown setting SEGMENTER_MARGINS"):
        load()


@pytest.mark.parametrize("name", ["KAFKA_BROKER", "SEGMENTER_KAFKA_BROKER"])
def test_the_broker_has_its_usual_name_and_the_prefixed_one(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "kafka:9092")

    assert load().kafka_broker == "kafka:9092"


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTER_K", "5")

    assert load().k == 5
    assert load(k=7).k == 7


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTER_RATES", " EUR = 1.1 , GBP=1.27,")
    monkeypatch.setenv("SEGMENTER_OPTIONAL_FEATURES", "interests, age")

    settings = load()

    assert settings.rates == {"EUR": 1.1, "GBP": 1.27}
    assert settings.optional_features == ("age", "interests")


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().k = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@cache:6379/0",
        f"rediss://app:{SECRET}@cache",
        f"redis://app:{SECRET}@redis:6379",
        f"redis://cache:6379/0?password={SECRET}",
        f"redis://cache:6379/0?password=x@{SECRET}",
        f"redis://app:{SECRET}/x@cache:6379",
    ],
)
def test_the_password_of_the_store_is_never_shown(url: str) -> None:
    settings = load(redis_url=url)

    assert SECRET not in str(settings.shown())
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert settings.redis_url == url


def test_a_wrong_url_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"http://app:{SECRET}@cache")

    with pytest.raises(ConfigError) as refused:
        load()
    assert SECRET not in str(refused.value)


def test_where_there_is_no_password_the_url_is_shown_as_it_is() -> None:
    assert hide_password("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:6379/0"


def test_what_is_shown_names_every_setting() -> None:
    assert load().shown().keys() == Settings.model_fields.keys()


@given(
    st.builds(
        dict,
        kafka_broker=st.sampled_from(["", "a:9092,b:9092"]),
        redis_url=st.sampled_from(["", f"redis://app:{SECRET}@cache/3"]),
        clock=st.sampled_from(ClockMode),
        idempotence=st.booleans(),
        rates=st.dictionaries(
            st.sampled_from(["EUR", "GBP", "JPY"]),
            st.floats(0, 1e6, exclude_min=True, exclude_max=True),
        ),
        optional_features=st.sets(st.sampled_from(OPTIONAL_FEATURES)).map(tuple),
        half_life_days=st.floats(0.01, 1e4),
        oldest_event=st.dates(),
        margin=st.floats(0, 0.99),
        k=st.integers(0, 20),
    )
)
def test_the_environment_gives_the_same_settings_again(values: dict[str, object]) -> None:
    settings = load(**values)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(settings).items():
            patch.setenv(name, value)
        assert load() == settings


def test_every_setting_has_a_variable_of_its_own() -> None:
    names = [env_name(field) for field in Settings.model_fields]

    assert len(set(names)) == len(names)
    assert environment(Settings()).keys() == set(names)


def test_decoding_and_the_settings_agree_on_every_rate() -> None:
    settings = load(rates={"EUR": 1.1, "USD": 2.0})

    rates = limits_of(settings).rates
    assert {currency: settings.rate(currency) for currency in rates} == rates
