"""``python -m stream_app``: the same as ``segmenter``."""

from stream_app.cli import main

main()
