"""Coverage-guided fuzzing of decoding: ``make fuzz``. Needs atheris, the extra ``fuzz``.

Exit codes: 0 nothing found, 1 something was, 2 wrong use, 3 atheris is not installed.
"""

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

UNAVAILABLE = 3
EVERY = 100_000
MAX_BYTES = 8_192  # what is larger belongs to the seeded run: it would slow this one down
FINDINGS = Path(".segmenter")
KEYS = (b"ann", None, b"", b"\xff", b"bob")
OWN_KEY = 7


def main() -> int:
    """Fuzz in a process of its own, which libFuzzer ends in its own way."""
    options = _parser().parse_args()
    if options.inside:
        _fuzz(options)
    try:
        importlib.import_module("atheris")
    except ImportError:
        sys.stderr.write(
            "atheris is not installed here: .venv/bin/pip install -c constraints.txt -e '.[fuzz]' "
            "(Linux, Python 3.11 to 3.13). Without it: make test ARGS=tests/fuzz\n"
        )
        return UNAVAILABLE
    with TemporaryDirectory(prefix="segmenter-fuzz-") as corpus:
        command = [sys.executable, "-m", "tests.fuzz", *sys.argv[1:], "--inside", corpus]
        return min(1, abs(subprocess.run(command, check=False).returncode))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Give decoding hostile records, led by what they reach in the code (libFuzzer "
        "through atheris). What is found is shown, and written to .segmenter/fuzz-*.",
        epilog="Exit codes: 0 nothing found, 1 something was, 2 wrong use, 3 no atheris here.",
    )
    parser.add_argument("--inputs", type=int, default=EVERY, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the run (default: %(default)s)")
    parser.add_argument("--inside", type=Path, default=None, help=argparse.SUPPRESS)
    return parser


def _fuzz(options: argparse.Namespace) -> None:
    """Never returns: libFuzzer ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["stream_app.core", "stream_app.contracts"]):
        judge = importlib.import_module("tests.fuzz.oracle").judge
    mutations = importlib.import_module("tests.fuzz.mutations")
    record = importlib.import_module("tests.builders").ARecord
    became: Counter[str] = Counter()
    began = time.monotonic()

    def one(data: bytes) -> None:
        topic, key, value = taken_apart(data)
        became[judge(topic, record(became.total(), key, value))] += 1
        if became.total() % EVERY == 0 or became.total() == options.inputs:
            spent = f"{became.total():,} inputs in {time.monotonic() - began:.0f} s"
            sys.stderr.write(f"{spent}: {dict(became.most_common())}\n")

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.2:
            topic, drawn = mutations.hostile(random)
            head = bytes([topic == "profiles"])
            return bytes(head + (drawn.value or b""))[:size]
        if random.random() < 0.3:
            return bytes(data[:1] + mutations.mutated(random, data[1:]))[:size]
        return bytes(atheris.Mutate(data, size))

    for n, value in enumerate(mutations.SEEDS.values()):
        (options.inside / f"seed-{n}").write_bytes(bytes([n]) + value)
    flags = [f"-runs={options.inputs}", f"-seed={options.seed}", f"-max_len={MAX_BYTES}"]
    FINDINGS.mkdir(exist_ok=True)
    flags += [
        f"-artifact_prefix={FINDINGS}/fuzz-",
        "-verbosity=0",
        "-print_final_stats=1",
        "-len_control=0",
        "-timeout=20",
    ]
    atheris.Setup([sys.argv[0], *flags, str(options.inside)], one, custom_mutator=mutate)
    atheris.Fuzz()


def taken_apart(data: bytes) -> tuple[str, bytes | None, bytes | None]:
    """Topic, key and value out of libFuzzer's bytes: the first one chooses topic and key."""
    head, value = data[0] if data else 0, data[1:]
    topic = ("purchases", "profiles")[head & 1]
    choice = (head >> 1) & 7
    if choice == OWN_KEY:
        return topic, _own_key(value), value
    key = KEYS[choice] if choice < len(KEYS) else value[:16]
    return topic, key, value if value or head & 16 else None


def _own_key(value: bytes) -> bytes | None:
    """The customer that a value names, if it names one."""
    try:
        found = json.loads(value)["customer_id"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return found.encode("utf-8", "replace") if isinstance(found, str) else None


if __name__ == "__main__":
    sys.exit(main())
