"""LiveKit's server API: livekit-api's services over our own Trio session (decision D10).

Every call ends within ten seconds. Errors are ours: Unavailable if livekit-server cannot be reached or fails, NotFound
for a room or participant that is not there, BadRequest for what it will not take.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import trio
from google.protobuf.message import DecodeError
from livekit.protocol import room as proto_room

from streamhub.errors import BadRequest, NotFound, StreamHubError, Unavailable
from streamhub.livekit.participants import LiveRoom, Participant, participant_of, room_of
from streamhub.livekit.session import DEADLINE_S, Session
from streamhub.livekit.tokens import LiveKitKeys

if TYPE_CHECKING:
    from livekit.api.egress_service import EgressService
    from livekit.api.ingress_service import IngressService
    from livekit.api.room_service import RoomService
    from livekit.api.twirp_client import ServerError

T = TypeVar("T")


@attrs.frozen(eq=False)
class LiveKitClient:
    """Calls the server that ``where`` names at the moment of the call.

    ``where`` raises Unavailable while there is none. Ingress calls are in ``livekit.ingresses``; those of egress go
    through ``egress()``, wrapped in ``call``.
    """

    where: Callable[[], str]
    keys: LiveKitKeys
    session: Session = attrs.field(factory=Session)

    async def rooms(self, names: Sequence[str] = ()) -> list[LiveRoom]:
        """All rooms, or those of ``names`` that exist."""
        request = proto_room.ListRoomsRequest(names=list(names))
        answer = await self.call(lambda: self.room().list_rooms(request))
        return [room_of(r) for r in answer.rooms]

    async def participants(self, room: str) -> list[Participant]:
        """Everybody in a room, hidden ones too; nobody if there is no such room."""
        request = proto_room.ListParticipantsRequest(room=room)
        try:
            answer = await self.call(lambda: self.room().list_participants(request))
        except NotFound:
            return []
        return [participant_of(p) for p in answer.participants]

    async def participant(self, room: str, identity: str) -> Participant:
        """One participant. Raises NotFound."""
        request = proto_room.RoomParticipantIdentity(room=room, identity=identity)
        return participant_of(await self.call(lambda: self.room().get_participant(request)))

    async def remove_participant(self, room: str, identity: str) -> None:
        """Throw a participant out. Raises NotFound if it is not there. It may come back: its token stays valid."""
        request = proto_room.RoomParticipantIdentity(room=room, identity=identity)
        await self.call(lambda: self.room().remove_participant(request))

    async def delete_room(self, room: str) -> None:
        """Throw everybody out of a room and forget it. Raises NotFound."""
        request = proto_room.DeleteRoomRequest(room=room)
        await self.call(lambda: self.room().delete_room(request))

    def room(self) -> RoomService:
        """livekit-api's RoomService for the present server; as the other two, within ``call``."""
        from livekit.api.room_service import RoomService

        return RoomService(*self._arguments())

    def ingress(self) -> IngressService:
        """livekit-api's IngressService for the present server."""
        from livekit.api.ingress_service import IngressService

        return IngressService(*self._arguments())

    def egress(self) -> EgressService:
        """livekit-api's EgressService for the present server."""
        from livekit.api.egress_service import EgressService

        return EgressService(*self._arguments())

    async def call(
        self, act: Callable[[], Awaitable[T]], explain: Callable[[ServerError], StreamHubError | None] | None = None
    ) -> T:
        """What ``act`` answers; LiveKit's errors become ours, and so does an answer that takes too long.

        ``explain`` knows better what some of them mean.
        """
        twirp = await _loaded()
        try:
            with trio.fail_after(DEADLINE_S):
                return await act()
        except trio.TooSlowError:
            raise Unavailable(f"livekit-server gave no answer for {DEADLINE_S:g} s", code="livekit_too_slow") from None
        except twirp.ServerError as exc:
            raise ((explain(exc) if explain else None) or mapped(exc)) from None
        except DecodeError:
            raise Unavailable(
                "what answers is not livekit-server", code="livekit_failed", hint="Check STREAMHUB_LIVEKIT_URL."
            ) from None

    def _arguments(self) -> tuple[Any, str, str, str, bool]:
        # The last one: no failover, which would sleep on asyncio and call LiveKit Cloud's regions.
        return self.session, self.where(), self.keys.api_key, self.keys.api_secret, False


_library: list[ModuleType] = []  # livekit-api's Twirp client, once the whole package is there


async def _loaded() -> ModuleType:
    """livekit-api's client, whose package brings aiohttp along: loaded in a thread when it is called first.

    A sixth of a server's start, which nobody who asks whether it is there should wait for. Nothing of it may be
    imported elsewhere before: a module that is being imported is in ``sys.modules`` already.
    """
    if not _library:
        _library.append(await trio.to_thread.run_sync(importlib.import_module, "livekit.api.twirp_client"))
    return _library[0]


def mapped(exc: ServerError) -> StreamHubError:
    """Our error for one of LiveKit's."""
    said = exc.message.removeprefix("twirp error unknown: ")
    if exc.status == 404 and exc.code == "not_found":
        return NotFound("LiveKit has no such room or participant", code="livekit_not_found")
    if exc.status in (401, 403):
        return Unavailable(
            "livekit-server refuses our API key",
            code="livekit_refuses_key",
            hint="Set STREAMHUB_LIVEKIT_API_KEY and STREAMHUB_LIVEKIT_API_SECRET to a pair of that server.",
        )
    if exc.status < 500 and exc.code in ("invalid_argument", "malformed", "out_of_range", "failed_precondition"):
        return BadRequest(f"LiveKit does not take this: {said}", code="livekit_bad_request")
    return Unavailable(
        f"livekit-server failed: {said or exc.code} ({exc.status})",
        code="livekit_failed",
        hint="Try again; if it goes on, look into the server's log.",
    )
