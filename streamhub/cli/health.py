"""``streamhub health``: ask the server of these settings whether it is well; a container's health check."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import sys
from pathlib import Path

import click

from streamhub.net.addresses import is_any_host
from streamhub.settings import Bind, Settings, load_settings

DEADLINE_S = 4.0
PATH = "/api/v1/health"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(self._path)


def _connection(bind: Bind, tls: bool) -> http.client.HTTPConnection:
    if bind.path:
        return _UnixConnection(bind.path)
    host = bind.host
    if is_any_host(host):
        host = "::1" if ":" in host else "127.0.0.1"
    if tls:
        # The certificate is for the public name, not for the address we use on this machine.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, bind.port, timeout=DEADLINE_S, context=context)
    return http.client.HTTPConnection(host, bind.port, timeout=DEADLINE_S)


def ask(settings: Settings) -> tuple[bool, str]:
    """Whether the server at the first ``http_bind`` says it is well, and what it said. Never raises."""
    bind = settings.http_bind[0]
    if not bind.path and bind.port == 0:
        return False, "http_bind has port 0: which free port the server took is not known here"
    connection = _connection(bind, settings.tls_cert is not None)
    try:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        text = answer.read(65536).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as exc:
        return False, f"no answer from {bind.path or f'{bind.host}:{bind.port}'}: {exc}"
    finally:
        connection.close()
    try:
        well = answer.status == 200 and json.loads(text).get("status") == "ok"
    except (ValueError, AttributeError):
        well = False
    return well, text


@click.command("health")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="A streamhub.toml (default: ./streamhub.toml)."
)
def health_command(config: Path | None) -> None:
    """Ask the running server whether it is well: exit code 0 if it is, 1 if not or if there is none."""
    well, text = ask(load_settings(os.environ, config))
    click.echo(text, err=not well)
    sys.exit(0 if well else 1)
