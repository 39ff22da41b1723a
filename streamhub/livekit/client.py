"""LiveKit's server API over our own Trio session.

Every call ends within ten seconds. Errors are ours: Unavailable if livekit-server cannot be reached or fails, NotFound
for a room or participant that is not there, BadRequest for what it will not take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
import trio
from google.protobuf.message import DecodeError, Message
from livekit.protocol import models
from livekit.protocol import room as proto

from streamhub.errors import BadRequest, NotFound, StreamHubError, Unavailable
from streamhub.livekit.participants import LiveRoom, Participant, participant_of, room_of
from streamhub.livekit.session import DEADLINE_S, Session
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.livekit.twirp import Method, ServerError

Answer = TypeVar("Answer", bound=Message)

_LIST_ROOMS = Method("RoomService", "ListRooms", proto.ListRoomsResponse, "roomList")
_DELETE_ROOM = Method("RoomService", "DeleteRoom", proto.DeleteRoomResponse, "roomCreate")
_LIST = Method("RoomService", "ListParticipants", proto.ListParticipantsResponse, "roomAdmin", of_room=True)
_GET = Method("RoomService", "GetParticipant", models.ParticipantInfo, "roomAdmin", of_room=True)
_REMOVE = Method("RoomService", "RemoveParticipant", proto.RemoveParticipantResponse, "roomAdmin", of_room=True)


@attrs.frozen(eq=False)
class LiveKitClient:
    """Calls the server that ``where`` names at the moment of the call.

    ``where`` raises Unavailable while there is none. The calls for ingress are in ``livekit.ingresses``, those for
    egress in ``livekit.egresses``.
    """

    where: Callable[[], str]
    keys: LiveKitKeys
    session: Session = attrs.field(factory=Session)

    async def rooms(self, names: Sequence[str] = ()) -> list[LiveRoom]:
        """All rooms, or those of ``names`` that exist."""
        answer = await self.call(_LIST_ROOMS, proto.ListRoomsRequest(names=list(names)))
        return [room_of(r) for r in answer.rooms]

    async def participants(self, room: str) -> list[Participant]:
        """Everybody in a room, hidden ones too; nobody if there is no such room."""
        try:
            answer = await self.call(_LIST, proto.ListParticipantsRequest(room=room))
        except NotFound:
            return []
        return [participant_of(p) for p in answer.participants]

    async def participant(self, room: str, identity: str) -> Participant:
        """One participant. Raises NotFound."""
        request = proto.RoomParticipantIdentity(room=room, identity=identity)
        return participant_of(await self.call(_GET, request))

    async def remove_participant(self, room: str, identity: str) -> None:
        """Throw a participant out. Raises NotFound if it is not there. It may come back: its token stays valid."""
        await self.call(_REMOVE, proto.RoomParticipantIdentity(room=room, identity=identity))

    async def delete_room(self, room: str) -> None:
        """Throw everybody out of a room and forget it. Raises NotFound."""
        await self.call(_DELETE_ROOM, proto.DeleteRoomRequest(room=room))

    async def call(
        self,
        method: Method[Answer],
        request: Message,
        explain: Callable[[ServerError], StreamHubError | None] | None = None,
    ) -> Answer:
        """What the method answers; LiveKit's errors become ours, and so does an answer that takes too long.

        ``explain`` knows better what some of them mean.
        """
        try:
            with trio.fail_after(DEADLINE_S):
                return await method.ask(self.session, self.where(), self.keys, request)
        except trio.TooSlowError:
            raise Unavailable(f"livekit-server gave no answer for {DEADLINE_S:g} s", code="livekit_too_slow") from None
        except ServerError as exc:
            raise ((explain(exc) if explain else None) or mapped(exc)) from None
        except DecodeError:
            raise Unavailable(
                "what answers is not livekit-server", code="livekit_failed", hint="Check STREAMHUB_LIVEKIT_URL."
            ) from None


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
