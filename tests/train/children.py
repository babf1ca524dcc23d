"""Slow tests whose work is a script of its own: what it prints tells the peak of its memory too."""

import subprocess
import sys


def printed_by(script, part, size):
    """What a script prints for the seeds of a part, once it has ended well."""
    seeds = [str(size * part), str(size * (part + 1))]
    done = subprocess.run(
        [sys.executable, "-W", "error", script, *seeds], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
