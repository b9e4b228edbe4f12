"""Run the tests that talk to a broker on Apache Kafka: ``make test-kafka``.

Exit codes: 0 all passed, 1 some did not, 2 wrong use, 3 Apache Kafka can't be had here.
"""

import argparse
import os
import subprocess
import sys
import time

from tests.kafka.libraries import ROOT, KafkaUnavailableError, libraries, version

FAILED = 1
UNAVAILABLE = 3
SUITE = ("-m", "integration", "tests", "--ignore=tests/integration/test_embedded.py")


def main() -> int:
    """Fetch Kafka, then run the suite on each size of cluster that was asked for."""
    options, others = _parser().parse_known_args()
    began = time.monotonic()
    try:
        libraries()
    except KafkaUnavailableError as error:
        _say(f"Apache Kafka {version()} can't be had here: {error}")
        return UNAVAILABLE
    _say(f"Apache Kafka {version()} is here after {time.monotonic() - began:.1f} s")
    passed = [_suite(brokers, others) for brokers in options.brokers or [1, 3]]
    return 0 if all(passed) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kafka",
        description="Fetch Apache Kafka with Maven (Java 17), start it on loopback and run the "
        "tests that talk to a broker on it. Anything else is passed on to pytest.",
        epilog="Exit codes: 0 all passed, 1 some did not, 2 wrong use, 3 Apache Kafka can't be "
        "had here (no Java, no Maven, or Maven Central does not answer).",
    )
    parser.add_argument(
        "--brokers",
        type=int,
        choices=(1, 3),
        action="append",
        help="size of the cluster; may be given twice (default: 1, then 3)",
    )
    return parser


def _suite(brokers: int, others: list[str]) -> bool:
    _say(f"the tests on {brokers} broker{'s' * (brokers > 1)}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *SUITE, *others],
        cwd=ROOT,
        env=os.environ | {"TEST_KAFKA_BROKERS": str(brokers)},
        check=False,
    )
    return done.returncode == 0


def _say(text: str) -> None:
    sys.stdout.write(f"==> {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
