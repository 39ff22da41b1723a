"""A real ``streamhub serve`` in a process of its own, on a free port, with a data folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import h11
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from tests.support.media import jpeg
from tests.support.waiting import eventually

PROGRAM = [sys.executable, "-m", "streamhub"]
START_S = 30.0


@attrs.define(eq=False)
class Answer:
    """An HTTP answer read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json()["data"]


@attrs.define(eq=False)
class Server:
    """The running process. ``output`` is what it printed on stdout, ``log_path`` where its log goes."""

    data_dir: Path
    env: dict[str, str]
    args: tuple[str, ...]
    log_path: Path
    process: trio.Process | None = None
    output: str = ""
    port: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def admin_token(self) -> str:
        return (self.data_dir / "admin-token").read_text().strip()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Start it (again, on the same port) and return when it listens."""
        bind = f"127.0.0.1:{self.port}"
        env = {
            "STREAMHUB_HTTP_BIND": bind,
            "STREAMHUB_DATA_DIR": str(self.data_dir),
            "STREAMHUB_RTMP_BIND": "127.0.0.1:0",
            "STREAMHUB_LOG_FORMAT": "json",
            "STREAMHUB_LIVEKIT_BINARY": "off",  # tests that need one say so: tests/support/livekit.py
        }
        with self.log_path.open("ab") as log:
            self.process = await trio.lowlevel.open_process(
                [*PROGRAM, "serve", *self.args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**clean_env(), **env, **self.env},
            )
        assert self.process.stdout is not None
        self.output = ""
        with trio.fail_after(START_S):
            while "Ctrl-C" not in self.output:
                data = await self.process.stdout.receive_some()
                assert data, f"the server ended: {self.log()}"
                self.output += data.decode()
        found = re.search(r"Listening on +\S*:(\d+)", self.output)
        assert found, self.output
        self.port = int(found[1])

    def log(self) -> str:
        return self.log_path.read_text()

    async def stop(self, number: int = signal.SIGTERM, within_s: float = 10.0) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        with trio.fail_after(within_s):
            return await self.process.wait()

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] = {},
        raw: bytes | None = None,
    ) -> Answer:
        """One HTTP request on a connection of its own. ``token=""``: the admin's; None: none."""
        sent = [("Host", f"127.0.0.1:{self.port}"), ("Connection", "close"), *headers.items()]
        if token is not None:
            sent.append(("Authorization", f"Bearer {token or self.admin_token}"))
        payload = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        if body is not None:
            sent.append(("Content-Type", "application/json"))
        if payload or method in ("POST", "PUT", "PATCH"):
            sent.append(("Content-Length", str(len(payload))))
        with trio.fail_after(20):
            stream = await trio.open_tcp_stream("127.0.0.1", self.port)
            async with stream:
                return await exchange(stream, h11.Request(method=method, target=path, headers=sent), payload)

    async def make_key(self, room: str, app: str = "live", **fields: object) -> str:
        """A new camera key."""
        answer = await self.request("POST", f"/api/v1/apps/{app}/ws-ingest", {"room": room, **fields})
        assert answer.status == 201, answer.body
        return str(answer.data["streamKey"])

    async def shows(self, room: str, app: str = "live") -> bool:
        """Whether the room has a live picture."""
        return (await self.request("HEAD", f"/live/{app}/{room}/frame.jpg", token=None)).status == 200

    @asynccontextmanager
    async def socket(self, path: str, headers: Sequence[tuple[str, str]] = ()) -> AsyncIterator[WebSocketConnection]:
        """A WebSocket to the server."""
        async with open_socket(self.port, path, headers) as socket:
            yield socket

    @asynccontextmanager
    async def camera_socket(self, room: str, key: str, app: str = "live") -> AsyncIterator[WebSocketConnection]:
        """A camera's WebSocket that has got its ``ready``."""
        path = f"/ingest/ws?app={app}&room={room}"
        async with self.socket(path, headers=[("Authorization", f"Bearer {key}")]) as socket:
            with trio.fail_after(10):
                ready = json.loads(await socket.get_message())
            assert ready["type"] == "ready", ready
            yield socket

    @asynccontextmanager
    async def camera(self, room: str, *, fps: float = 10.0, app: str = "live") -> AsyncIterator[str]:
        """A camera that sends changing pictures; gives its key. The first picture has arrived when the block starts."""
        key = await self.make_key(room, app)
        async with self.camera_socket(room, key, app) as socket, trio.open_nursery() as nursery:

            async def send() -> None:
                shade = 0
                with suppress(ConnectionClosed):  # a test may stop the server under it
                    while True:
                        await socket.send_message(jpeg(shade, (320, 240)))
                        shade += 3
                        await trio.sleep(1 / fps)

            nursery.start_soon(send)
            await eventually(lambda: self.shows(room, app))
            yield key
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_socket(
    port: int, path: str, headers: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[WebSocketConnection]:
    """A trio-websocket client whose TCP connection is closed here: the library leaves it open after a remote close."""
    with trio.fail_after(10):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream, trio.open_nursery() as nursery:
        with trio.fail_after(10):
            socket = await wrap_client_stream(nursery, stream, f"127.0.0.1:{port}", path, extra_headers=list(headers))
        yield socket
        with trio.move_on_after(2):
            await socket.aclose()
        nursery.cancel_scope.cancel()


async def exchange(stream: trio.abc.Stream, request: h11.Request, payload: bytes = b"") -> Answer:
    """Send a request and read its answer."""
    client = h11.Connection(h11.CLIENT)
    data = client.send(request)
    if payload:
        data = (data or b"") + (client.send(h11.Data(data=payload)) or b"")
    await stream.send_all((data or b"") + (client.send(h11.EndOfMessage()) or b""))
    status, headers, body = 0, {}, b""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(bytes(await stream.receive_some(65536)))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {k.decode(): v.decode() for k, v in event.headers}
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, headers, body)


def clean_env() -> dict[str, str]:
    """The environment without any setting of ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith("STREAMHUB_")}


@asynccontextmanager
async def run_server(folder: Path, *args: str, env: Mapping[str, str] = {}) -> AsyncIterator[Server]:
    """A server with its data below ``folder``; killed at the end if it still runs."""
    server = Server(folder / "data", dict(env), args, folder / "server.log")
    await server.start()
    try:
        yield server
    finally:
        process = server.process
        if process is not None and process.returncode is None:
            process.terminate()
            with trio.move_on_after(8, shield=True):
                await process.wait()
            if process.returncode is None:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()
