"""HLS control."""

from __future__ import annotations

from typing import Literal

import attrs

from streamhub.model.urls import Base, RoomUrls
from streamhub.services.hls import HlsState


@attrs.frozen
class HlsStarted:
    """``status`` in LiveKit's words, as the contract has it; ``egressId`` names the order."""

    egress_id: str
    playlist_url: str
    status: Literal["EGRESS_STARTING", "EGRESS_ACTIVE"]


@attrs.frozen
class HlsStopped:
    egress_id: str | None
    status: Literal["EGRESS_ENDING", "inactive"]


@attrs.frozen
class HlsStatus:
    active: bool
    playlist_url: str


def started(state: HlsState, base: Base) -> HlsStarted:
    """The answer to an order."""
    assert state.order is not None
    return HlsStarted(
        state.order, RoomUrls(base, state.key).hls, "EGRESS_ACTIVE" if state.active else "EGRESS_STARTING"
    )


def stopped(state: HlsState) -> HlsStopped:
    """The answer to the end of an order."""
    return HlsStopped(state.order, "inactive" if state.order is None else "EGRESS_ENDING")


def status(state: HlsState, base: Base) -> HlsStatus:
    """What there is."""
    return HlsStatus(state.active, RoomUrls(base, state.key).hls)
