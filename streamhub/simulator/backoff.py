"""How long to wait before trying again."""

from __future__ import annotations

import random

import attrs

GOOD_RUN_S = 60.0


@attrs.define
class Backoff:
    """Delays that double from ``first_s`` to ``most_s``, each cut by up to half: a fleet does not come back at once."""

    first_s: float = 0.5
    most_s: float = 10.0
    random: random.Random = attrs.field(factory=random.Random)
    _tries: int = 0

    def next_delay(self, ran_s: float = 0.0) -> float:
        """Seconds to wait. ``ran_s``: how long the last attempt ran well; a minute of it starts the series anew."""
        if ran_s >= GOOD_RUN_S:
            self._tries = 0
        delay = min(self.first_s * 2.0 ** min(self._tries, 30), self.most_s)
        self._tries += 1
        return delay * self.random.uniform(0.5, 1.0)
