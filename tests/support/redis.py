"""A real Redis without persistence, and a real livekit-server that has it: what LiveKit's ingress needs."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
from livekit.protocol import ingress as proto

from streamhub.errors import Unavailable
from streamhub.livekit.config import LOOPBACK, Wishes, choose_ports, format_config
from streamhub.livekit.server import LiveKit
from streamhub.livekit.session import Session
from streamhub.livekit.tokens import LiveKitKeys
from tests.support.livekit import livekit_binary
from tests.support.waiting import eventually

KEYS = LiveKitKeys("APItest", "a-livekit-secret-of-thirty-two-chars-or-more")
UNSAVED = ("--save", "", "--appendonly", "no")
RTMP_BASE, WHIP_BASE = "rtmp://ingress.example:1935/x", "https://ingress.example/w"


@attrs.frozen
class Redis:
    """A running one."""

    port: int

    async def command(self, *words: str | bytes) -> bytes:
        """The answer to one command, as it comes over the wire."""
        parts = [w.encode() if isinstance(w, str) else w for w in words]
        sent = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
        with trio.fail_after(10):
            async with await trio.open_tcp_stream(LOOPBACK, self.port) as stream:
                await stream.send_all(sent)
                return bytes(await stream.receive_some(65536))

    async def set_state(self, livekit_id: str, state: proto.IngressState) -> None:
        """What LiveKit's ingress service would have livekit-server store about an ingress."""
        answer = await self.command("SET", f"{{ingress}}_state:{livekit_id}", state.SerializeToString())
        assert answer.startswith(b"+OK"), answer


@asynccontextmanager
async def running_redis(folder: Path) -> AsyncIterator[Redis]:
    """Debian's redis-server on a free loopback port."""
    program = shutil.which("redis-server")
    assert program, "redis-server is missing: run scripts/setup test"
    for _ in range(5):  # somebody else may take the port first; then it ends at once
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            redis = Redis(probe.getsockname()[1])
        words = ["--port", str(redis.port), "--bind", LOOPBACK, "--dir", str(folder), *UNSAVED]
        process = await trio.lowlevel.open_process(
            [program, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if await _answers(process, redis):
                yield redis
                return
        finally:
            await _end(process)
    raise AssertionError("redis-server does not start")


async def _answers(process: trio.Process, redis: Redis) -> bool:
    async def ready() -> bool:
        if process.poll() is not None:
            return True
        try:
            return (await redis.command("PING")).startswith(b"+PONG")
        except OSError:
            return False

    await eventually(ready, within_s=20)
    return process.returncode is None


@attrs.frozen
class Outside:
    """A livekit-server that is not ours, with Redis. ``env`` are the settings by which ours uses it."""

    url: str
    redis: Redis
    process: trio.Process

    @property
    def env(self) -> dict[str, str]:
        return {
            "STREAMHUB_LIVEKIT_URL": self.url,
            "STREAMHUB_LIVEKIT_API_KEY": KEYS.api_key,
            "STREAMHUB_LIVEKIT_API_SECRET": KEYS.api_secret,
        }

    def server(self) -> LiveKit:
        """As our program sees it."""
        livekit = LiveKit(KEYS, managed=False)
        livekit.set_ready(self.url, "1.13.5")
        return livekit


@asynccontextmanager
async def livekit_with_redis(folder: Path) -> AsyncIterator[Outside]:
    """A livekit-server on free ports; no ingress or egress service runs beside it."""
    async with running_redis(folder) as redis, livekit_node(redis, folder) as outside:
        yield outside


@asynccontextmanager
async def livekit_node(redis: Redis, folder: Path, name: str = "outside") -> AsyncIterator[Outside]:
    """One livekit-server of those that share the Redis; it may be killed meanwhile."""
    wishes = Wishes(keys=KEYS, udp=0, tcp=0, node_ip=LOOPBACK)
    ports = choose_ports(wishes, None)
    config = json.loads(format_config(wishes, ports)) | {
        "redis": {"address": f"{LOOPBACK}:{redis.port}"},
        "ingress": {"rtmp_base_url": RTMP_BASE, "whip_base_url": WHIP_BASE},
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(config))
    process = await trio.lowlevel.open_process(
        [livekit_binary(), "--config", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    outside = Outside(f"http://{LOOPBACK}:{ports.signal}", redis, process)
    try:
        await eventually(lambda: _is_up(outside.url), within_s=20)
        yield outside
    finally:
        await _end(process)


async def _is_up(url: str) -> bool:
    try:
        return (await Session().request("GET", f"{url}/", {}, within_s=2)).status == 200
    except Unavailable:
        return False


async def _end(process: trio.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with trio.move_on_after(5, shield=True):
            await process.wait()
    if process.returncode is None:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
