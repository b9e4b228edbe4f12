import pytest
from prometheus_client import generate_latest

from stream_app.adapters.metrics import Metrics
from stream_app.config import ConfigError, Settings, environment, load
from stream_app.core.drift import Limits
from stream_app.core.training import Trainer, TrainingConfig
from stream_app.trainer import training_config
from tests.builders import FEATURES, START
from tests.populations import a_population, a_sample


def test_drift_limits_reach_the_trainer_and_the_others_keep_their_defaults() -> None:
    config = training_config(Settings(drift={"moved": 0.2, "calm": 100}, thaw=True))

    assert config.limits == Limits(moved=0.2, calm=100)
    assert config.thaw


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DRIFT", "sped=1", "unknown: sped; known: calm, largest"),
        ("DRIFT", "speed=0", "speed must be a positive number"),
        ("DRIFT", "speed", "write it as moved=0.6"),
        ("WEIGHTS", "recency_days=-1", "recency_days must be a positive number"),
        ("WEIGHTS", "recency_days", "write it as recency_days=1.5"),
    ],
)
def test_wrong_numbers_are_refused_with_the_settings_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"SEGMENTER_{name}", value)

    with pytest.raises(ConfigError, match=f"SEGMENTER_{name}: {said}"):
        load()


def test_numbers_survive_the_way_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(weights={"recency_days": 1.5}, drift={"speed": 4.0})
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)

    assert load() == settings


def test_the_metrics_show_a_cold_start_and_its_end() -> None:
    metrics, trainer = Metrics(), Trainer(FEATURES, TrainingConfig(warmup_customers=300))
    trainer.learn(a_sample(a_population(200)), START)

    metrics.observe_trainer(trainer)

    shown = generate_latest(metrics.registry).decode()
    assert "segmenter_trainer_warming 1.0" in shown
    assert "segmenter_trainer_customers 200.0" in shown
    assert "segmenter_trainer_frozen 0.0" in shown
    trainer.learn(a_sample(a_population(400)), START)
    metrics.observe_trainer(trainer)
    assert "segmenter_trainer_warming 0.0" in generate_latest(metrics.registry).decode()
    assert metrics.registry.get_sample_value("segmenter_trainer_history_days") == pytest.approx(
        trainer.history_days
    )
