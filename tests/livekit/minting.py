"""Join tokens made by LiveKit's own library: the judge of what we accept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from livekit import api

from streamhub.livekit.tokens import LiveKitKeys


def mint(keys: LiveKitKeys, *, room: str, ttl_s: float = 3600, identity: str = "viewer", **grants: Any) -> str:
    token = api.AccessToken(keys.api_key, keys.api_secret).with_identity(identity)
    token = token.with_grants(api.VideoGrants(**{"room_join": True, "room": room, **grants}))
    return token.with_ttl(timedelta(seconds=ttl_s)).to_jwt()
