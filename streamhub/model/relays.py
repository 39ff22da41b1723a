"""Relays: sources that a worker of ours takes in and passes on, pushed by RTMP or pulled from an address.

``ingest`` asks through the Protocols here; ``services.relay_sources`` answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeAlias

import attrs

from streamhub.model.ingress import InputType
from streamhub.model.names import RoomKey


@attrs.frozen
class RelayGrant:
    """A source let in: which ingress it belongs to, where it publishes and as whom."""

    ingress_id: str
    type: InputType
    room: RoomKey
    identity: str
    name: str | None = None


@attrs.frozen(kw_only=True)
class PullSource:
    """What a pull row says. ``url`` holds its credentials; it is never logged."""

    grant: RelayGrant
    url: str = attrs.field(repr=False)
    transport: Literal["tcp", "udp", "auto"] = "auto"
    on_demand: bool = False
    max_gop_s: float = 0.0
    max_height: int = 0
    enabled: bool = True


# Bytes of the pushed stream, in order. Raises SourceOver when nothing more is wanted (taken over, switched off).
SendMedia: TypeAlias = Callable[[bytes], Awaitable[None]]


class SourceOver(Exception):
    """The relay takes nothing more of this source; ``reason`` is a stable word: ``replaced``, ``deleted``, ``failed``…

    ``message`` may be shown to the encoder's owner.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


class PushAuthority(Protocol):
    """Decides about RTMP publishers."""

    async def authorise_push(self, key: str) -> RelayGrant:
        """What the stream key grants. Raises Unauthorized (unknown key), Forbidden (switched off)."""
        ...


class OpensPush(Protocol):
    """Takes pushed sources in; ``ingest.relays`` in the server."""

    def push(self, grant: RelayGrant) -> AbstractAsyncContextManager[SendMedia]:
        """Open the source for the time of the block; an older one of the same ingress is ended first.

        What is sent is an FLV file, its header first. Raises Unavailable.
        """
        ...
