"""How many watch a room by HLS: an estimate, since players come and go without a word.

Who has asked for the list within the lease is one; the same address, program and token are the same one. So a hotel's
televisions behind one address are one, a cache in front is one, and who leaves is counted a little longer.
"""

from __future__ import annotations

import hashlib

import attrs
import trio

# Past these nobody is counted any more: whoever makes up names must not fill the memory.
MOST = 20_000


@attrs.define(eq=False)
class HlsReaders:
    """Times are Trio's. ``lease_s``: so long after a request its reader counts."""

    lease_s: float
    _until: dict[bytes, float] = attrs.field(factory=dict)

    def saw(self, address: str, program: str, token: str | None) -> None:
        """A reader has asked for the list."""
        who = "\0".join((address, program, token or "")).encode("utf-8", "replace")
        name = hashlib.blake2b(who, digest_size=8).digest()
        self._until.pop(name, None)  # the newest last
        if len(self._until) >= MOST:
            self._prune()
        if len(self._until) < MOST:
            self._until[name] = trio.current_time() + self.lease_s

    def count(self) -> int:
        """How many there are now."""
        self._prune()
        return len(self._until)

    def _prune(self) -> None:
        now = trio.current_time()
        while self._until and next(iter(self._until.values())) <= now:
            del self._until[next(iter(self._until))]
