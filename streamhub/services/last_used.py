"""Remembers when credentials were used and writes it in batches: at most once a minute per credential."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from streamhub.store import last_used as rows
from streamhub.store.db import Store

LEAST_GAP = timedelta(minutes=1)


@attrs.define
class LastUsed:
    """The uses not written yet."""

    _store: Store
    _tokens: dict[int, datetime] = attrs.field(factory=dict)
    _keys: dict[str, datetime] = attrs.field(factory=dict)

    def token(self, token_id: int, written: datetime | None, at: datetime) -> None:
        """Note a use of a token whose row says ``written``; not a checkpoint."""
        if written is None or at - written >= LEAST_GAP:
            self._tokens.setdefault(token_id, at)

    def key(self, key_id: str, written: datetime | None, at: datetime) -> None:
        """Note a use of a camera key whose row says ``written``; not a checkpoint."""
        if written is None or at - written >= LEAST_GAP:
            self._keys.setdefault(key_id, at)

    async def flush(self) -> None:
        """Write what was noted; without any, nothing is written. If the write fails, the notes are kept."""
        tokens, keys = dict(self._tokens), dict(self._keys)
        if not tokens and not keys:
            return
        await self._store.write(rows.write, tokens, keys)
        for token_id in tokens:
            del self._tokens[token_id]
        for key_id in keys:
            del self._keys[key_id]
