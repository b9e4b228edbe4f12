"""Child processes that end with this one, even by SIGKILL, and take their folder with them.

A guard beside each child waits on a pipe that only this process holds open, then removes the child
and its folder. A child made by a bare ``os.fork`` inherits that pipe and so keeps them alive;
``subprocess`` does not. Linux and macOS.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# The shell starts the guard, then becomes the service, so the service has the pid we know.
# The guard stays in the service's process group: the group's number can't be reused meanwhile.
GUARD = """
folder=$1; shift
exec 3<&0 </dev/null
{ read -r _ <&3; kill -9 $$; rm -rf "$folder"; } >/dev/null 2>&1 &
exec 3<&- "$@"
"""
GUARDED = ("/bin/sh", "-c", GUARD, "guard")


def launch(
    folder: Path, log: Path, program: Sequence[str], env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that ends with this process, and ``folder`` with it; ``log`` gets output.

    ``env`` is its whole environment; None: that of this process.
    """
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 - our own arguments
            [*GUARDED, str(folder), *program],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            env=env,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], how: signal.Signals, seconds: float) -> None:
    """Send a signal; SIGKILL the process, its children and its guard after so many seconds."""
    process.send_signal(how)
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with process, suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
