"""Same seed, same input, another ``PYTHONHASHSEED``: the same snapshots, to the byte.

``python -m tests.benchmarks.quality.determinism SEED`` prints a digest of all snapshots.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from producers.simulate import Simulation
from stream_app.config import Settings
from stream_app.contracts import ModelSnapshot
from tests.benchmarks.quality import shops
from tests.benchmarks.quality.replay import Observer, Replay
from tests.benchmarks.quality.results import Bar, Findings, Row

HASH_SEEDS = ("0", "1", "2")
DAYS = 200.0
DATA = "simulator, demo shop"


class Digest(Observer):
    """SHA-256 over the JSON of every snapshot."""

    def __init__(self) -> None:
        self._digest = sha256()
        self._count = 0

    def published(self, replay: Replay, snapshot: ModelSnapshot) -> None:  # noqa: ARG002
        """Take it in."""
        self._digest.update(snapshot.model_dump_json().encode())
        self._count += 1

    def findings(self, replay: Replay) -> Findings:  # noqa: ARG002
        """Nothing by itself."""
        return Findings()

    def __str__(self) -> str:
        return f"{self._count} {self._digest.hexdigest()}"


def measure(seed: int) -> Findings:
    """Run in a fresh process for each hash seed and compare what they print."""
    printed = [_in_a_process(seed, hash_seed) for hash_seed in HASH_SEEDS]
    snapshots = float(printed[0].split()[0])
    name = f"distinct results under PYTHONHASHSEED {', '.join(HASH_SEEDS)}"
    return Findings(
        [
            Row("determinism", name, DATA, seed, len(set(printed)), Bar("==", 1)),
            Row("determinism", "snapshots compared", DATA, seed, snapshots),
        ]
    )


def _in_a_process(seed: int, hash_seed: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", __name__, str(seed)],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def main(arguments: Sequence[str]) -> None:
    """Print the number of snapshots and their digest."""
    seed, digest = int(arguments[0]), Digest()
    shop = Simulation(replace(shops.demo(seed), days=DAYS))
    asyncio.run(Replay(Settings(seed=seed), [digest]).run(shop))
    print(digest)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
