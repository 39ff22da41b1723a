"""How a worker of ours gets into a room of LiveKit's: unseen, and only to listen and to watch."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final

import attrs

from streamhub.livekit.server import LiveKit
from streamhub.livekit.tokens import TYPE_ATTRIBUTE, JoinGrant, mint_join_token
from streamhub.model.names import RoomKey

# The value of ``TYPE_ATTRIBUTE`` by which our own people are known: they are nobody's viewers.
TAP: Final = "tap"
# Good for joining only: once in, LiveKit asks no more.
TOKEN_S: Final = 60


@attrs.frozen
class RoomPass:
    """Where the room is, and what lets a worker in, once, soon."""

    url: str
    token: str = attrs.field(repr=False)


def room_pass(livekit: LiveKit, key: RoomKey, at: datetime) -> RoomPass:
    """For a stay of its own. Raises Unavailable."""
    url = livekit.require()
    grant = JoinGrant(
        room=key.room,
        identity=f"{TAP}-{secrets.token_hex(8)}",
        attributes={TYPE_ATTRIBUTE: TAP},
        can_subscribe=True,
        # Not as a recorder: LiveKit would tell everybody in the room that they are recorded.
        hidden=True,
    )
    return RoomPass(url, mint_join_token(livekit.keys, grant, at, TOKEN_S))
