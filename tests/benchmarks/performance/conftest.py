"""Doctests are looked for where everything that a module imports is installed."""

from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
PURE = {"__init__.py", "budget.py", "machine.py", "plots.py", "reasons.py", "report.py"}
PURE |= {"results.py", "simple_features.py", "stage.py"}

collect_ignore = ["bytewax_worker.py", "quix_worker.py"]
if find_spec("confluent_kafka") is None:  # the extra `bench`
    collect_ignore += [place.name for place in HERE.glob("*.py") if place.name not in PURE]
