"""``segmenter``, also as ``python -m stream_app``."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback, also while it is being loaded."""
    try:
        from stream_app.cli import main as command_line  # noqa: PLC0415 - that takes a second

        command_line()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
