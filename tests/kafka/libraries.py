"""The libraries of an Apache Kafka broker, fetched once from Maven Central with Maven."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
POM = Path(__file__).with_name("pom.xml")
CACHE = ROOT / ".segmenter"
OLDEST_JAVA = 17
FETCH_SECONDS = 600.0


class KafkaUnavailableError(Exception):
    """Apache Kafka can't be fetched or run here; the message is one sentence that says why."""


def version() -> str:
    """Version of Apache Kafka that the tests run on."""
    (found,) = re.findall(r"<kafka\.version>(.+)</kafka\.version>", POM.read_text())
    return str(found)


def libraries(cache: Path = CACHE) -> Path:
    """Folder of the jar files; fetched unless ``cache`` has those of this very pom.xml.

    Raises KafkaUnavailableError where Java or Maven is missing or Maven Central does not answer.
    """
    _require_java()
    folder = cache / f"kafka-{version()}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:8]}"
    if not folder.exists():
        _fetch(folder)
    return folder


def _require_java() -> None:
    java = shutil.which("java")
    if java is None:
        raise KafkaUnavailableError(f"there is no java here, and Kafka needs Java {OLDEST_JAVA}")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    number = re.search(r'version "(\d+)', answer.stderr)
    if number is None or int(number[1]) < OLDEST_JAVA:
        found = answer.stderr.strip().splitlines() or ["nothing"]
        raise KafkaUnavailableError(
            f"Kafka needs Java {OLDEST_JAVA} or newer, and `java -version` says {found[0]}"
        )


def _fetch(folder: Path) -> None:
    """Fetch beside ``folder`` and rename: it is complete, or it is not there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="kafka-fetch-") as place:
        jars = Path(place) / "libs"
        _maven("dependency:copy-dependencies", f"-DoutputDirectory={jars}")
        if not folder.exists():
            jars.rename(folder)


def _maven(*words: str) -> None:
    program = shutil.which("mvn")
    if program is None:
        raise KafkaUnavailableError("there is no mvn here: install Maven to fetch Kafka")
    command = [program, "--batch-mode", "--quiet", "--file", str(POM), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise KafkaUnavailableError(
            f"Maven did not fetch Kafka within {FETCH_SECONDS:.0f} seconds"
        ) from None
    if done.returncode:
        said = re.findall(r"^\[ERROR\] (.+?)(?: -> \[Help \d\])?$", done.stdout, re.MULTILINE)
        reason = said[0] if said else f"it ended with {done.returncode}"
        raise KafkaUnavailableError(f"Maven could not fetch Kafka from Maven Central: {reason}")
