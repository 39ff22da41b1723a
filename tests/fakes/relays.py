"""What an RTMP server asks: who may publish, and where media goes. Pushed files are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from streamhub.errors import StreamHubError, Unauthorized
from streamhub.model.ingress import InputType
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.relays import RelayGrant, SendMedia, SourceOver


def grant(name: str) -> RelayGrant:
    return RelayGrant(f"ing_{name}", InputType.RTMP, RoomKey(AppName("live"), RoomName(f"live-{name}")), f"rtmp-{name}")


@attrs.define
class FakePushAuthority:
    """Keys of the form ``stk_<name>``; ``troubles`` are raised for theirs."""

    troubles: dict[str, Exception] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)

    async def authorise_push(self, key: str) -> RelayGrant:
        await trio.lowlevel.checkpoint()
        self.asked.append(key)
        if key in self.troubles:
            raise self.troubles[key]
        if not key.startswith("stk_"):
            raise Unauthorized("unknown stream key", hint="Copy it from the ingress, or make a new one.")
        return grant(key.removeprefix("stk_"))


@attrs.define(eq=False)
class Push:
    """One pushed file. ``end`` it as a relay would; ``asleep`` it takes nothing."""

    grant: RelayGrant
    data: bytearray = attrs.field(factory=bytearray)
    pieces: int = 0
    ended: trio.Event = attrs.field(factory=trio.Event)
    awake: trio.Event = attrs.field(factory=trio.Event)
    over: SourceOver | None = None
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def send(self, data: bytes) -> None:
        await self.awake.wait()
        if self.over is not None:
            raise self.over
        self.data += data
        self.pieces += 1


@attrs.define(eq=False)
class RecordingRelays:
    """One source per ingress: a new one ends the older. ``in_nursery``: opened in one, whose errors come in groups."""

    pushes: list[Push] = attrs.field(factory=list)
    trouble: StreamHubError | None = None
    in_nursery: bool = False

    @asynccontextmanager
    async def push(self, grant: RelayGrant) -> AsyncIterator[SendMedia]:
        if self.trouble is not None:
            raise self.trouble
        for older in self.pushes:
            if older.grant.ingress_id == grant.ingress_id and not older.ended.is_set():
                older.over = SourceOver("replaced", "another encoder publishes with this key")
                older.scope.cancel()
                await older.ended.wait()
        push = Push(grant)
        push.awake.set()
        self.pushes.append(push)
        try:
            with push.scope:
                if self.in_nursery:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(trio.sleep_forever)
                        yield push.send
                        nursery.cancel_scope.cancel()
                else:
                    yield push.send
        finally:
            push.ended.set()
        if push.over is not None:
            raise push.over
