"""The servers that are measured: ours as it is shipped, and its peers, each on the server's core."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from tests.bench.native import BUILT, LOAD_CORE, SERVER_CORE, find, on_core

PROGRAM = [sys.executable, "-m", "streamhub"]
START_S = 90.0
FPS, SIZE = 15, 25_000


@attrs.define
class Contender:
    """A running server and how viewers and cameras reach it. ``external``: its pictures do not come by our cameras."""

    name: str
    port: int
    pid: int
    path: str = "/live/live/%r/mjpeg"
    keys: Path | None = None
    external: bool = False
    token: str = ""
    started_s: float = 0.0
    # Its other processes, which are accounted with it.
    helpers: tuple[int, ...] = ()

    @property
    def options(self) -> list[object]:
        """What the load generator needs to know."""
        keys: list[object] = ["-k", self.keys] if self.keys else []
        pids = ",".join(map(str, (self.pid, *self.helpers)))
        return ["-u", self.path, "-P", pids, *keys, *(["-X"] if self.external else [])]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One REST call by the admin: its data."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return json.load(answer)["data"]


def free_port() -> int:
    """A port nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(
    command: Sequence[str], log: Path, env: Mapping[str, str] = {}, core: int | None = SERVER_CORE
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, on the server's core unless told otherwise, ended with the block."""
    with log.open("ab") as out:
        running = subprocess.Popen(
            command if core is None else on_core(core, command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**clean_env(), **env},
        )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def clean_env() -> dict[str, str]:
    """The environment without settings of ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith("STREAMHUB_")}


def await_port(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    """Return once somebody listens. Raises RuntimeError if the process ended or takes too long."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and running.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"it does not listen: {log.read_text('utf-8', 'replace')[-500:]}")


@contextmanager
def ours(
    folder: Path, rooms: int = 1, env: Mapping[str, str] = {}, core: int | None = SERVER_CORE
) -> Iterator[Contender]:
    """StreamHub with keys for ``rooms`` cameras; authorisation, limits and metrics as shipped, no LiveKit beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "server.log"
    settings = {
        "STREAMHUB_HTTP_BIND": f"127.0.0.1:{port}",
        "STREAMHUB_RTMP_BIND": "127.0.0.1:0",
        "STREAMHUB_DATA_DIR": str(folder / "data"),
        "STREAMHUB_LIVEKIT_BINARY": "off",
        **env,
    }
    began = time.monotonic()
    with process([*PROGRAM, "serve"], log, settings, core) as running:
        url = f"http://127.0.0.1:{port}/api/v1/health"
        while True:
            with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    break
            if running.poll() is not None or time.monotonic() > began + START_S:
                raise RuntimeError(f"StreamHub did not start: {log.read_text()[-800:]}")
            time.sleep(0.01)
        started_s = time.monotonic() - began
        token = (folder / "data" / "admin-token").read_text().strip()
        names, keys = folder / "rooms", folder / "keys"
        names.write_text("".join(f"cam{n}\n" for n in range(rooms)))
        create = [*PROGRAM, "keys", "create", "--app", "live", "--from", str(names), "--json"]
        made = subprocess.run(create, env={**clean_env(), **settings}, capture_output=True, text=True, check=True)
        rows = json.loads(made.stdout)
        keys.write_text("".join(f"{row['room']} {row['streamKey']}\n" for row in rows))
        yield Contender("streamhub", port, running.pid, keys=keys, token=token, started_s=started_s)


@contextmanager
def limit(folder: Path, mode: str) -> Iterator[Contender]:
    """The least a server can do, in C; ``mode`` is ``send`` or ``sendfile``."""
    port, log = free_port(), folder / f"limit-{mode}.log"
    with process([str(BUILT / "limit"), str(port), mode], log) as running:
        await_port(port, running, log)
        yield Contender(f"C limit, {mode}", port, running.pid)


@contextmanager
def quart(folder: Path) -> Iterator[Contender]:
    """A generator in the web framework (quart_peer.py)."""
    port, log = free_port(), folder / "quart.log"
    with process([sys.executable, "-m", "tests.bench.quart_peer", str(port)], log) as running:
        await_port(port, running, log)
        yield Contender("Quart generator", port, running.pid)


@contextmanager
def ustreamer(folder: Path) -> Iterator[Contender]:
    """ustreamer with a camera that is none: the fake V4L2 device."""
    port, log = free_port(), folder / "ustreamer.log"
    env = {"LD_PRELOAD": str(BUILT / "fakev4l2.so"), "FAKE_FPS": str(FPS), "FAKE_SIZE": str(SIZE)}
    command = [find("ustreamer") or "ustreamer", "--device", "/dev/video0", "--format", "MJPEG", "--encoder", "NOOP"]
    command += ["--desired-fps", str(FPS), "--host", "127.0.0.1", "--port", str(port), "--tcp-nodelay"]
    with process(command, log, env) as running:
        await_port(port, running, log)
        yield Contender("ustreamer", port, running.pid, path="/stream", external=True)


@contextmanager
def go2rtc(folder: Path) -> Iterator[Contender]:
    """go2rtc, pulling from our C program, which one camera feeds on the load's core."""
    port, log, config = free_port(), folder / "go2rtc.log", folder / "go2rtc.yaml"
    with limit(folder, "send") as source:
        listen = f"api:\n  listen: 127.0.0.1:{port}\n" + "".join(f"{x}:\n  listen: ''\n" for x in ("rtsp", "webrtc"))
        config.write_text(f"{listen}streams:\n  cam0: http://127.0.0.1:{source.port}/live/live/cam0/mjpeg\n")
        feed = [str(BUILT / "load"), "-p", str(source.port), "-C", str(LOAD_CORE), "-d", "3600"]
        with process([find("go2rtc") or "go2rtc", "-config", str(config)], log) as running:
            camera = subprocess.Popen(feed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                await_port(port, running, log)
                yield Contender("go2rtc", port, running.pid, path="/api/stream.mjpeg?src=%r", external=True)
            finally:
                camera.kill()
                camera.wait()


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[Contender]:
    """nginx with one worker, serving the files below ``root``."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log, config = free_port(), folder / "nginx.log", folder / "nginx.conf"
    temp = "".join(f"{x}_temp_path {folder}/{x};" for x in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(
        f"daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {log};"
        f"events {{ worker_connections 4096; }} http {{ access_log off; sendfile on; tcp_nopush on; {temp}"
        "keepalive_requests 1000000; types { application/vnd.apple.mpegurl m3u8; video/mp4 mp4 m4s; image/jpeg jpg; }"
        f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
    )
    with process([find("nginx") or "nginx", "-c", str(config), "-p", str(folder)], log) as running:
        await_port(port, running, log)
        yield Contender("nginx", port, running.pid)


@attrs.define
class Probe:
    """REST calls every ``every_s`` on one kept-alive connection, on the load's core.

    ``took`` holds when each began (``time.monotonic``) and how many milliseconds it took.
    """

    contender: Contender
    path: str
    every_s: float = 0.02
    took: list[tuple[float, float]] = attrs.field(factory=list)
    size: int = 0
    _stop: threading.Event = attrs.field(factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Probe:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def within(self, windows: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
        """The milliseconds of the calls that began within one of the windows (begin, end), and of the others."""
        inside, outside = [], []
        for began, ms in self.took:
            (inside if any(a <= began < b for a, b in windows) else outside).append(ms)
        return inside, outside

    def _run(self) -> None:
        os.sched_setaffinity(0, {LOAD_CORE})  # of this thread
        link = self._connect()
        while not self._stop.wait(self.every_s):
            began = time.monotonic()
            try:
                self._call(link)
            except ConnectionError:  # it served its thousand requests
                link = self._connect()
            else:
                self.took.append((began, (time.monotonic() - began) * 1000))
        link.close()

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.contender.port), timeout=20)

    def _call(self, link: socket.socket) -> None:
        head = f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.contender.token}\r\n\r\n"
        link.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _some(link)
        headers, _, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", headers)
        assert headers.startswith(b"HTTP/1.1 200"), headers[:200]
        assert length, headers
        self.size, got = int(length[1]), len(body)
        while got < self.size:
            got += len(_some(link))


def _some(link: socket.socket) -> bytes:
    if not (data := link.recv(1 << 20)):
        raise ConnectionResetError("the server closed the connection")
    return data
