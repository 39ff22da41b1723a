"""LiveKit's WHIP as a script, and an authority over a dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import jwt
import trio

from streamhub.errors import NotFound, Unauthorized
from streamhub.livekit.server import LiveKit
from streamhub.livekit.session import Reply, Session
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.ingress import WhipGrant, WhipSession
from streamhub.model.names import AppName, RoomKey, RoomName
from tests.support.offers import ANSWER

KEYS = LiveKitKeys("APItest", "a-livekit-secret-of-thirty-two-chars-or-more")


@attrs.frozen
class Asked:
    """One request that reached LiveKit."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def claims(self) -> dict[str, Any]:
        token = self.headers["Authorization"].removeprefix("Bearer ")
        claims: dict[str, Any] = jwt.decode(
            token, KEYS.api_secret, ["HS256"], options={"verify_exp": False, "verify_nbf": False}
        )
        return claims


@attrs.define(eq=False)
class ScriptedLiveKit:
    """Answers 201, 204 and 200 unless ``replies`` has something for the method; keeps what it was asked."""

    asked: list[Asked] = attrs.field(factory=list)
    replies: dict[str, Reply | BaseException] = attrs.field(factory=dict)
    slow: dict[str, trio.Event] = attrs.field(factory=dict)
    created: int = 0
    last: LiveKit = attrs.field(init=False)

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes = b"", within_s: float = 10
    ) -> Reply:
        assert url.startswith("http://livekit.test:7880/")
        self.asked.append(Asked(method, url.removeprefix("http://livekit.test:7880"), headers, data.decode()))
        await trio.lowlevel.checkpoint()
        if method in self.slow:
            await self.slow[method].wait()
        scripted = self.replies.get(method)
        if isinstance(scripted, BaseException):
            raise scripted
        if scripted is not None:
            return scripted
        return self.made() if method == "POST" else Reply(204 if method == "PATCH" else 200, {}, b"")

    def made(self, answer: str = ANSWER, **headers: str) -> Reply:
        self.created += 1
        found = {"location": f"/whip/v1/PA_{self.created}", "etag": f"EtAg{self.created}", **headers}
        return Reply(201, found, answer.encode())

    def server(self) -> LiveKit:
        """The server that is this script."""

        class Scripted(Session):
            request = self.request  # type: ignore[assignment]

        server = LiveKit(KEYS, managed=False, session=Scripted())
        server.set_ready("http://livekit.test:7880", "1.13.5")
        self.last = server
        return server

    @property
    def methods(self) -> list[str]:
        return [a.method for a in self.asked]


@attrs.define(eq=False)
class DictAuthority:
    """Knows the key ``good`` (and ``good2`` of another ingress)."""

    sessions: dict[str, WhipSession] = attrs.field(factory=dict)
    refuse_to_keep: BaseException | None = None
    hold: trio.Event | None = None

    async def authorise(self, key: str) -> WhipGrant:
        await trio.lowlevel.checkpoint()
        if not key.startswith("good"):
            raise Unauthorized("no such key", code="stream_key_invalid")
        return WhipGrant(f"IN_{key}", RoomKey(AppName("live"), RoomName("live-obs")), f"me-{key}", "My OBS")

    async def opened(self, grant: WhipGrant, session: WhipSession) -> str:
        await trio.lowlevel.checkpoint()
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse_to_keep is not None:
            raise self.refuse_to_keep
        for name in [n for n, s in self.sessions.items() if s.ingress_id == grant.ingress_id]:
            del self.sessions[name]
        session_id = f"whs_{session.resource.rpartition('_')[2]}"
        self.sessions[session_id] = session
        return session_id

    async def session(self, session_id: str, key: str | None) -> WhipSession:
        await trio.lowlevel.checkpoint()
        if session_id not in self.sessions:
            raise NotFound("no such session", code="whip_session_not_found")
        return self.sessions[session_id]

    async def closed(self, session_id: str) -> None:
        await trio.lowlevel.checkpoint()
        self.sessions.pop(session_id, None)
