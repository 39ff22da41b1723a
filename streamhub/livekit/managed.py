"""A livekit-server of our own: a child under the guard, its ports and configuration made here.

``run`` is one life of it, for ``rooms.backoff.run_supervised`` to repeat.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path

import attrs
import trio

from streamhub.errors import ConfigError, Unavailable
from streamhub.livekit import guard
from streamhub.livekit.config import CONFIG_FILE, LOOPBACK, Ports, Wishes, choose_ports, format_config, write_config
from streamhub.livekit.output import Forwarder
from streamhub.livekit.server import LiveKit
from streamhub.observe.log import get_logger

PROGRAM = "livekit-server"
OFF = "off"
# The guard asks politely, insists after half of this, kills after all of it.
GRACE_S = 1.0
START_S = 20.0
POLL_S = 0.02
# A server that does not answer this often in a row is restarted.
WATCH_S = 5.0
MOST_MISSED = 3
VERSION_S = 10.0

log = get_logger("livekit")


def find_binary(setting: str | None, places: list[Path]) -> str | None:
    """The livekit-server to run: the setting's, PATH's, or the first of ``places``. None: there is none, or ``off``.

    Raises ConfigError if the setting names none.
    """
    if setting == OFF:
        return None
    if setting is not None:
        found = shutil.which(setting)
        if found is None:
            raise ConfigError(
                f"setting livekit_binary is {setting!r}, and no program is there",
                hint="Set STREAMHUB_LIVEKIT_BINARY to a livekit-server, or to 'off'.",
            )
        return found
    return shutil.which(PROGRAM) or next((str(p) for p in places if os.access(p, os.X_OK) and p.is_file()), None)


@attrs.define(eq=False)
class ManagedServer:
    """The owner of the child. It keeps ``livekit`` true to what is."""

    livekit: LiveKit
    binary: str
    wishes: Wishes
    data_dir: Path
    ports: Ports | None = None
    _process: trio.Process | None = None
    _stopping: bool = False

    async def run(self) -> None:
        """One life of the server. Raises Unavailable when it ends or cannot start, except after ``stop``."""
        await self._rest_if_stopping()
        self.livekit.set_down("livekit-server is starting", "Try again in a moment.", starting=True)
        version = await self._version()
        self.ports = choose_ports(self.wishes, self.ports)
        config = self.data_dir / CONFIG_FILE
        await trio.to_thread.run_sync(write_config, config, format_config(self.wishes, self.ports))
        command = [sys.executable, "-I", "-S", guard.__file__, str(GRACE_S), "--", self.binary, "--config", str(config)]
        self._process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for us: we end it in our order
        )
        said: deque[str] = deque(maxlen=5)
        try:
            problem = await self._live(self._process, f"http://{LOOPBACK}:{self.ports.signal}", version, said)
        finally:
            await self._end(self._process)
        await self._rest_if_stopping()
        raise problem

    async def _live(self, process: trio.Process, url: str, version: str | None, said: deque[str]) -> Unavailable:
        """Look after the child until it has ended or does not answer; why that is so."""
        problem: Unavailable | None = None
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                nonlocal problem
                problem = await self._watch(url, version)
                nursery.cancel_scope.cancel()

            nursery.start_soon(self._forward, process, said)
            nursery.start_soon(watch)
            await process.wait()
            nursery.cancel_scope.cancel()
        reason = said[-1] if said else f"exit code {process.returncode}"
        return problem or Unavailable(
            f"livekit-server ended: {reason}", code="livekit_down", hint="It is started again by itself."
        )

    async def stop(self) -> None:
        """End it, politely first. Returns when it has ended, at most a little after the grace."""
        self._stopping = True
        self.livekit.set_down("the server is stopping", "Wait for it to come back.")
        if self._process is not None:
            await self._end(self._process)

    async def _rest_if_stopping(self) -> None:
        """No new life after ``stop``: wait here for the cancellation."""
        if self._stopping:
            await trio.sleep_forever()

    async def _end(self, process: trio.Process) -> None:
        """Close the control pipe, so that the guard ends it; if the guard hangs, kill that, and the kernel the rest."""
        with trio.move_on_after(GRACE_S + 1.0, shield=True):
            if process.stdin is not None:
                await process.stdin.aclose()
            await process.wait()
        if process.returncode is None:
            process.kill()
            with trio.move_on_after(1.0, shield=True):
                await process.wait()

    async def _forward(self, process: trio.Process, said: deque[str]) -> None:
        assert process.stdout is not None
        forwarder = Forwarder(said)
        async with process.stdout:
            async for data in process.stdout:
                forwarder.feed(bytes(data))

    async def _watch(self, url: str, version: str | None) -> Unavailable:
        """Tell when it answers; return when it does not, or does no more."""
        with trio.move_on_after(START_S) as starting:
            while not await self._answers(url):  # noqa: ASYNC110 - another process cannot set an event of ours
                await trio.sleep(POLL_S)
        if starting.cancelled_caught:
            return Unavailable(f"livekit-server did not start within {START_S:g} s", code="livekit_down")
        assert self.ports is not None
        self.livekit.set_ready(url, version)
        log.info(
            "livekit-server is ready",
            version=version,
            udp=self.ports.udp,
            tcp=self.ports.tcp,
            address=self.wishes.node_ip,
        )
        missed = 0
        while missed < MOST_MISSED:
            await trio.sleep(WATCH_S)
            missed = 0 if await self._answers(url) else missed + 1
        return Unavailable(
            "livekit-server stopped answering", code="livekit_down", hint="It is started again by itself."
        )

    async def _answers(self, url: str) -> bool:
        try:
            reply = await self.livekit.session.request("GET", f"{url}/", {}, within_s=2.0)
        except Unavailable:
            return False
        return reply.status == 200

    async def _version(self) -> str | None:
        """What the program calls itself. Raises Unavailable if it does not run here."""
        try:
            with trio.fail_after(VERSION_S):
                done = await trio.run_process(
                    [self.binary, "--version"],
                    capture_stdout=True,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    env=_environment(),
                )
        except (OSError, trio.TooSlowError) as exc:
            raise Unavailable(
                f"{self.binary} does not run: {getattr(exc, 'strerror', None) or 'no answer'}",
                code="livekit_down",
                hint="Set STREAMHUB_LIVEKIT_BINARY to a livekit-server for this machine.",
            ) from None
        words = done.stdout.decode("utf-8", "replace").split()
        return words[-1] if words else None


def _environment() -> dict[str, str]:
    """What the child needs of our environment: none of our secrets, and nothing it would take for a setting."""
    return {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR", "TZ", "LANG")}
