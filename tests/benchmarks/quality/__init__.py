"""Quality of the segments, measured by replaying histories through the real pipeline.

``python -m tests.benchmarks.quality`` writes ``docs/quality.md`` and ``docs/quality.json``.
``replay.py`` drives; observers look on and turn what they saw into rows; ``experiments.py`` says
which observer looks at which history; ``report.py`` and ``plots.py`` write.
"""
