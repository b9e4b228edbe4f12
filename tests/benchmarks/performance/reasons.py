"""Why a bar is not met, in words: by name, and workload and broker where they matter."""

from collections.abc import Mapping

Reasons = Mapping[tuple[str, ...], str]

WHY: Reasons = {}


def why(key: tuple[str, str, str], reasons: Reasons = WHY) -> str:
    """Return the most particular reason for (name, workload, broker), empty if there is none.

    >>> reasons = {("speed",): "in general", ("speed", "kafka"): "on Apache Kafka"}
    >>> why(("speed", "uniform", "kafka"), reasons), why(("speed", "zipf", "embedded"), reasons)
    ('on Apache Kafka', 'in general')
    """
    name, _, broker = key
    found = (reasons.get(known, "") for known in (key, (name, broker), (name,)))
    return next(filter(None, found), "")
