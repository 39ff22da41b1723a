"""nginx and Caddy from Debian in front of a server, with the lines of docs/reverse-proxy.md."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from tests.simulator.certificate import make_certificate
from tests.support.media import Media
from tests.support.server import Server
from tests.support.waiting import eventually

DOCS = Path(__file__).parents[3] / "docs"


def documented(start: str, page: str = "reverse-proxy.md") -> str:
    """The lines of the first block in that page of docs/ that begins with ``start``, without its braces."""
    text = (DOCS / page).read_text()
    found = re.search(rf"{re.escape(start)} \{{\n(.*?)^ *\}}", text, re.DOTALL | re.MULTILINE)
    assert found, start
    assert "proxy_pass" in found[1] or "127.0.0.1:3020" in found[1], found[1]
    return found[1]


# One line and nothing else: no WebSockets and no right URLs, but pages, API and MJPEG must work.
NGINX_BARE_LINES = "proxy_pass http://127.0.0.1:3020;\n"
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ }}
http {{
    {http}
    access_log {access_log};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port}{tls};
        location / {{
{lines}
        }}
    }}
}}
"""
CADDY = """
{{
    admin off
    skip_install_trust
    auto_https disable_redirects
}}
{site} {{
{lines}
}}
"""


@attrs.frozen
class Proxy:
    """A running proxy: its public base, and what to trust for TLS (None: it speaks none)."""

    scheme: str
    host: str
    port: int
    authority: Path | None = None

    @property
    def netloc(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def ws_url(self) -> str:
        return f"{'wss' if self.scheme == 'https' else 'ws'}://{self.netloc}"

    @property
    def tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=str(self.authority)) if self.authority else None

    async def connect(self, source_ip: str = "127.0.0.1") -> trio.abc.Stream:
        """A connection to the proxy from this address."""
        plain = await trio.open_tcp_stream("127.0.0.1", self.port, local_address=source_ip)
        return trio.SSLStream(plain, self.tls, server_hostname=self.host) if self.tls else plain


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@asynccontextmanager
async def running(command: list[str], folder: Path, port: int, env: dict[str, str]) -> AsyncIterator[None]:
    """The proxy's process, from when it listens until it is killed."""
    with (folder / "output.log").open("wb") as log:
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **env}
        )
    try:
        with trio.fail_after(20):
            while True:
                assert process.poll() is None, (folder / "output.log").read_text()
                try:
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    await trio.sleep(0.02)
        yield
    finally:
        process.terminate()
        with trio.move_on_after(3, shield=True):
            await process.wait()
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@asynccontextmanager
async def open_nginx(
    server: Server | Media | None,
    folder: Path,
    *,
    lines: str = "",
    tls: bool = False,
    unix: Path | None = None,
    http: str = "",
    access_log: str = "off",
) -> AsyncIterator[Proxy]:
    """With the documented lines, unless others are given; ``unix``: it reaches the server by that socket.

    ``http``: lines outside of its server; they may name what is asked, so that no ``server`` is needed.
    """
    folder.mkdir()
    port, certificate = free_port(), make_certificate(folder)
    upstream = f"unix:{unix}:" if unix else f"127.0.0.1:{server.port if server else 0}"
    text = NGINX.format(
        folder=folder,
        port=port,
        http=http,
        access_log=access_log,
        user="user root;" if os.geteuid() == 0 else "",
        lines=(lines or documented("location /")).replace("127.0.0.1:3020", upstream),
        tls=" ssl;\n        ssl_certificate {};\n        ssl_certificate_key {}".format(*certificate) if tls else "",
    )
    (folder / "nginx.conf").write_text(text)
    command = ["/usr/sbin/nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    async with running(command, folder, port, {}):
        yield Proxy("https", "127.0.0.1", port, certificate[0]) if tls else Proxy("http", "127.0.0.1", port)


@asynccontextmanager
async def open_caddy(server: Server, folder: Path, *, tls: bool) -> AsyncIterator[Proxy]:
    """With TLS it makes its own authority (``tls internal``, which Caddy chooses for ``localhost`` by itself)."""
    folder.mkdir()
    port = free_port()
    site = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    lines = documented("cams.example").replace("127.0.0.1:3020", f"127.0.0.1:{server.port}")
    (folder / "Caddyfile").write_text(CADDY.format(site=site, lines=lines))
    command = ["/usr/bin/caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    env = {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}
    async with running(command, folder, port, env):
        if not tls:
            yield Proxy("http", "127.0.0.1", port)
            return
        root = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        await eventually(root.is_file, 20)
        proxy = Proxy("https", "localhost", port, root)
        # It listens before it has made itself a certificate.
        await eventually(partial(_shakes_hands, proxy), 20)
        yield proxy


async def _shakes_hands(proxy: Proxy) -> bool:
    stream = await proxy.connect()
    try:
        assert isinstance(stream, trio.SSLStream)
        await stream.do_handshake()
    except trio.BrokenResourceError:
        return False
    else:
        return True
    finally:
        await trio.aclose_forcefully(stream)
