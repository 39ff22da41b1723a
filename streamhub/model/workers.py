"""What is told of the viewer workers."""

from __future__ import annotations

import attrs


@attrs.frozen
class WorkerCounts:
    """How many are wanted and at work; viewers they have now, and what they have done since the server's start.

    ``pictures`` are those sent whole, ``cpu_s`` seconds of CPU time; both are as of a second ago.
    """

    wanted: int
    running: int
    viewers: int
    pictures: int
    cpu_s: float
    restarts: int
