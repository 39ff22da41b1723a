"""The part of LiveKit's egress service that talks: it takes orders over Redis, and reports where livekit-server reads.

It makes no media: the playlist it writes names segments that are not there. What it speaks is psrpc as livekit-server
does (github.com/livekit/psrpc): each message is an ``Any``, published on a channel named after service, method and
topic; who may do a request says so by a claim, and does it when its claim is the one chosen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from livekit.protocol import egress as proto

from tests.support.redis import LOOPBACK, Redis

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {str: _FIELD.TYPE_STRING, bytes: _FIELD.TYPE_BYTES, float: _FIELD.TYPE_FLOAT, int: _FIELD.TYPE_INT64}
# Fields of psrpc's and livekit-server's own messages that are used here: number, name, type.
_MESSAGES: dict[str, list[tuple[int, str, type]]] = {
    "internal.Request": [(1, "request_id", str), (2, "client_id", str), (8, "raw_request", bytes)],
    "internal.Response": [(1, "request_id", str), (2, "server_id", str), (7, "raw_response", bytes)],
    "internal.ClaimRequest": [(1, "request_id", str), (2, "server_id", str), (3, "affinity", float)],
    "internal.ClaimResponse": [(1, "request_id", str), (2, "server_id", str)],
    "rpc.StartEgressRequest": [
        (1, "egress_id", str),
        (5, "room_composite", bytes),
        (13, "participant", bytes),
    ],
}
SERVER_ID = "SRV_test"


def _message_types() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    for name, fields in _MESSAGES.items():
        package, _, short = name.partition(".")
        file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=package, syntax="proto3")
        message = file.message_type.add(name=short)
        for number, field, kind in fields:
            message.field.add(number=number, name=field, type=_TYPES[kind], label=_FIELD.LABEL_OPTIONAL)
        pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in _MESSAGES}


MESSAGES = _message_types()


@attrs.define(eq=False)
class EgressWorker:
    """Takes every order. ``infos``: what it runs or ran, by id; ``started`` in the order they came."""

    redis: Redis
    infos: dict[str, proto.EgressInfo] = attrs.field(factory=dict)
    started: list[str] = attrs.field(factory=list)
    _socket: trio.SocketStream | None = None
    _claimed: dict[str, trio.Event] = attrs.field(factory=dict)

    @property
    def last(self) -> proto.EgressInfo:
        """The newest."""
        return self.infos[self.started[-1]]

    def folder(self, egress_id: str) -> Path:
        """Where it was told to write."""
        info = self.infos[egress_id]
        request = getattr(info, str(info.WhichOneof("request")))
        return Path(request.segment_outputs[0].live_playlist_name).parent

    async def report(self, egress_id: str, status: int, error: str = "") -> None:
        """Put its state where livekit-server keeps it."""
        info = self.infos[egress_id]
        info.status, info.error = status, error
        await self.redis.command("HSET", "egress", egress_id, info.SerializeToString())

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Take orders until cancelled."""
        async with await trio.open_tcp_stream(LOOPBACK, self.redis.port) as self._socket, trio.open_nursery() as tasks:
            channels = ("EgressInternal|StartEgress|REQ", "EgressInternal|StartEgress|RCLAIM")
            await self._subscribe(*channels)
            async for channel, payload in _published(self._socket):
                if payload is None:
                    if channel == channels[-1]:
                        task_status.started()
                    continue
                service, method, *_, kind = channel.split("|")
                if kind == "RCLAIM":
                    claim = MESSAGES["internal.ClaimResponse"].FromString(payload)
                    if claim.server_id == SERVER_ID and claim.request_id in self._claimed:
                        self._claimed[claim.request_id].set()
                else:
                    request = MESSAGES["internal.Request"].FromString(payload)
                    tasks.start_soon(self._take, service, method, channel, request)

    async def _take(self, service: str, method: str, channel: str, request: Any) -> None:
        chosen = self._claimed[request.request_id] = trio.Event()
        about = {"request_id": request.request_id, "server_id": SERVER_ID}
        await self._publish(f"{service}|{request.client_id}|CLAIM", "internal.ClaimRequest", affinity=1.0, **about)
        with trio.move_on_after(10):
            await chosen.wait()
            info = await (self._start(request) if method == "StartEgress" else self._stop(channel.split("|")[2]))
            await self._publish(
                f"{service}|{request.client_id}|RES",
                "internal.Response",
                raw_response=info.SerializeToString(),
                **about,
            )

    async def _start(self, request: Any) -> proto.EgressInfo:
        order = MESSAGES["rpc.StartEgressRequest"].FromString(request.raw_request)
        info = proto.EgressInfo(egress_id=order.egress_id, status=proto.EgressStatus.EGRESS_STARTING)
        if order.participant:
            info.participant.ParseFromString(order.participant)
            info.room_name = info.participant.room_name
        else:
            info.room_composite.ParseFromString(order.room_composite)
            info.room_name = info.room_composite.room_name
        self.infos[info.egress_id] = info
        self.started.append(info.egress_id)
        topic = f"EgressHandler|StopEgress|{info.egress_id}"
        await self._subscribe(f"{topic}|REQ", f"{topic}|RCLAIM")
        return info

    async def _stop(self, egress_id: str) -> proto.EgressInfo:
        await self.report(egress_id, proto.EgressStatus.EGRESS_COMPLETE)
        return self.infos[egress_id]

    async def _subscribe(self, *channels: str) -> None:
        assert self._socket is not None
        await self._socket.send_all(f"SUBSCRIBE {' '.join(channels)}\r\n".encode())

    async def _publish(self, channel: str, kind: str, **fields: Any) -> None:
        value = MESSAGES[kind](**fields).SerializeToString()
        wrapped = any_pb2.Any(type_url=f"type.googleapis.com/{kind}", value=value)
        await self.redis.command("PUBLISH", channel, wrapped.SerializeToString())


async def _published(stream: trio.SocketStream) -> AsyncIterator[tuple[str, bytes | None]]:
    """Channel and message of all that is published there; None: a subscription of it holds (RESP2)."""
    data = b""

    async def line() -> bytes:
        nonlocal data
        while b"\r\n" not in data:
            more = bytes(await stream.receive_some(65536))
            assert more, "Redis hung up"
            data += more
        found, _, data = data.partition(b"\r\n")
        return found

    async def value() -> bytes:
        nonlocal data
        head = await line()
        if head[:1] != b"$":
            return head[1:]
        size = int(head[1:])
        while len(data) < size + 2:
            data += bytes(await stream.receive_some(65536))
        found, data = data[:size], data[size + 2 :]
        return found

    while True:
        parts = [await value() for _ in range(int((await line())[1:]))]
        if parts[0] == b"message":
            yield parts[1].decode(), any_pb2.Any.FromString(parts[2]).value
        else:
            yield parts[1].decode(), None


@asynccontextmanager
async def egress_worker(redis: Redis) -> AsyncIterator[EgressWorker]:
    """One that runs for the time of the block."""
    worker = EgressWorker(redis)
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        yield worker
        nursery.cancel_scope.cancel()
