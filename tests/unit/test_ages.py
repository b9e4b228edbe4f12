import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from stream_app.adapters.ages import Ages


def test_ages_are_counted_up_to_each_bound_and_summed() -> None:
    ages, registry = Ages("age_seconds", "How old", (0.1, 1)), CollectorRegistry()
    registry.register(ages)

    ages.add(np.array([0.05, 0.1, 0.5]))
    ages.add(np.array([30.0]))
    ages.add(np.array([]))

    counted = {
        bound: registry.get_sample_value("age_seconds_bucket", {"le": bound})
        for bound in ("0.1", "1.0", "+Inf")
    }
    assert counted == {"0.1": 2, "1.0": 3, "+Inf": 4}
    assert registry.get_sample_value("age_seconds_count") == 4
    assert registry.get_sample_value("age_seconds_sum") == pytest.approx(30.65)
    assert b"# TYPE age_seconds histogram" in generate_latest(registry)
