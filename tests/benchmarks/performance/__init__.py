"""Speed, latency and cost of the running system, beside the plainest worker and the bare limit.

``python -m tests.benchmarks.performance`` writes ``docs/performance.json`` and
``docs/performance.md``. ``loads.py`` makes the events, ``stage.py`` runs processes and looks at
them from outside, ``contenders.py`` times each, ``throughput.py``, ``latency.py``, ``storms.py``
and ``resources.py`` are the experiments, ``report.py`` and ``plots.py`` write.
"""
