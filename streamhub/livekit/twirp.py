"""One call of LiveKit's server API: Twirp, which is a protobuf message by POST (twitchtv.github.io/twirp, "spec_v7").

The messages are those of livekit-protocol. livekit-api's own client would do the same through aiohttp, which nothing
else here uses: a sixth of the server's start and ten megabytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import attrs
from google.protobuf.message import Message

from streamhub.livekit.session import Session
from streamhub.livekit.tokens import LiveKitKeys, signed

Answer = TypeVar("Answer", bound=Message)
TOKEN_S = 3600
FORMAT = "application/protobuf"


class ServerError(Exception):
    """livekit-server says no: Twirp's ``code`` and ``message``, and the answer's ``status``."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message} ({status})")
        self.code = code
        self.message = message
        self.status = status


@attrs.frozen(eq=False)
class Method(Generic[Answer]):
    """A method of LiveKit's API, the message it answers with and the grant it asks for.

    ``of_room``: the grant is good for the one room that the request names.
    """

    service: str
    name: str
    answer: type[Answer]
    grant: str
    of_room: bool = False

    async def ask(self, session: Session, url: str, keys: LiveKitKeys, request: Message) -> Answer:
        """What the server at ``url`` answers. Raises ServerError, Unavailable, DecodeError (no such message).

        It is asked once: whether a second try does harm, only the caller knows.
        """
        headers = {
            "Authorization": f"Bearer {self._token(keys, request)}",
            "Content-Type": FORMAT,
            "Accept": FORMAT,
        }
        target = f"{url.rstrip('/')}/twirp/livekit.{self.service}/{self.name}"
        reply = await session.request("POST", target, headers, request.SerializeToString())
        if reply.status != 200:
            raise _error(reply.body, reply.status)
        return self.answer.FromString(reply.body)

    def _token(self, keys: LiveKitKeys, request: Message) -> str:
        grants: dict[str, Any] = {self.grant: True}
        if self.of_room:
            grants["room"] = request.room  # type: ignore[attr-defined]
        issued = int(datetime.now(UTC).timestamp())
        return signed(keys, {"nbf": issued, "exp": issued + TOKEN_S, "video": grants})


def _error(body: bytes, status: int) -> ServerError:
    """Errors are JSON whatever was asked for, unless something between us and the server answers."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    said = said if isinstance(said, Mapping) else {}
    return ServerError(str(said.get("code", "unknown")), str(said.get("msg", "")), status)
