"""Two StreamHubs behind one name, with the nginx lines of docs/scaling.md: each request finds the one of its app."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio

from tests.e2e.peers.proxies import DOCS, documented, open_nginx
from tests.livekit.fake_server import FakeServer, fake_server
from tests.support.peer import connect

NORTH = (
    *("/live/north/gate/mjpeg", "/live/north/gate/frame.jpg", "/hls/north/gate/index.m3u8?token=x", "/play/north/gate"),
    *("/embed/north/gate", "/studio/north/gate", "/api/v1/apps/north", "/api/v1/apps/north/streams"),
    *("/live/ws?app=north&room=gate", "/ingest/ws?app=north&room=gate&key=wsk_1"),
)
OTHERS = ("/live/south/gate/mjpeg", "/live/northern/gate/mjpeg", "/live/ws?app=south&room=gate", "/", "/api/v1/apps")


def port_of(server: FakeServer) -> str:
    return server.url.rpartition(":")[2]


@pytest.mark.parametrize("kind", [NORTH, OTHERS], ids=["north", "others"])
async def test_request_then_it_reaches_the_streamhub_of_its_app(tmp_path: Path, kind: tuple[str, ...]) -> None:
    async with fake_server(body=b"north") as north, fake_server(body=b"others") as others:
        maps = "\n".join(re.findall(r"^map .*?^\}", (DOCS / "scaling.md").read_text(), re.DOTALL | re.MULTILINE))
        for address, server in (("10.0.0.11:3020", north), ("10.0.0.12:3020", others)):
            assert address in maps
            maps = maps.replace(address, f"127.0.0.1:{port_of(server)}")
        lines = documented("location /", "scaling.md")
        async with open_nginx(None, tmp_path / "nginx", lines=lines, http=maps) as proxy:
            with trio.fail_after(30):
                for path in kind:
                    async with connect(proxy.port) as client:
                        reply = await client.get(path)
                    assert reply.body == (b"north" if kind is NORTH else b"others"), path
        wanted, other = (north, others) if kind is NORTH else (others, north)
        assert wanted.calls == [path.partition("?")[0] for path in kind]
        assert other.calls == []
