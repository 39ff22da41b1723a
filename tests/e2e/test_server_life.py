"""Start, first run, stop and crash of the real process."""

from __future__ import annotations

import json
import os
import signal
import stat
from contextlib import suppress
from pathlib import Path

import h11
import trio
from trio_websocket import ConnectionClosed

from tests.support.media import jpeg
from tests.support.server import PROGRAM, Server, clean_env, exchange, run_server
from tests.support.waiting import eventually


async def test_first_run_makes_data_folder_app_and_private_admin_token(server: Server) -> None:
    mode = stat.S_IMODE((server.data_dir / "admin-token").stat().st_mode)
    assert mode == 0o600
    assert server.admin_token not in server.output, "shown although there is no terminal"
    assert server.admin_token not in server.log()
    apps = (await server.request("GET", "/api/v1/apps")).data
    assert [a["name"] for a in apps] == ["live"]


async def test_start_up_text_names_pages_and_how_to_let_others_in(server: Server) -> None:
    assert f"{server.base_url}/" in server.output
    assert f"ws://127.0.0.1:{server.port}/ingest/ws?app=live&room=cam1" in server.output
    assert "streamhub serve --lan" in server.output


async def test_second_start_when_port_is_taken_names_the_setting(server: Server, tmp_path: Path) -> None:
    other = Server(tmp_path / "other", {}, (), tmp_path / "other.log", port=server.port)
    process = None
    try:
        await other.start()
    except AssertionError:
        process = other.process
    assert process is not None
    assert await process.wait() == 2
    assert "STREAMHUB_HTTP_BIND" in other.log()


async def test_demo_camera_moves(tmp_path: Path) -> None:
    async with run_server(tmp_path, "--demo") as server:
        assert f"{server.base_url}/play/live/live-demo" in server.output
        seen = set()
        with trio.fail_after(20):
            while len(seen) < 5:
                answer = await server.request("GET", "/live/live/demo/frame.jpg", token=None)
                if answer.status == 200:
                    seen.add(answer.body)
                await trio.sleep(0.05)


async def test_lan_device_urls_never_name_a_loopback_host(tmp_path: Path) -> None:
    async with run_server(tmp_path, "--lan") as server:
        answer = await server.request("POST", "/api/v1/apps/live/ws-ingest", {"room": "cam1"})
        assert answer.status == 201
        for name, value in answer.data.items():
            if name.endswith("Url"):
                assert "127.0.0.1" not in value, name
                assert "localhost" not in value, name


async def test_sigterm_with_fifty_stalled_viewers_drains_in_five_seconds(tmp_path: Path) -> None:
    async with run_server(tmp_path) as server, server.camera("cam1", fps=15), trio.open_nursery() as nursery:
        streams = []
        for _ in range(50):
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            await stream.send_all(b"GET /live/live/cam1/mjpeg HTTP/1.1\r\nHost: x\r\n\r\n")
            streams.append(stream)  # never read
        await trio.sleep(1)
        with trio.fail_after(5):
            assert await server.stop() == 0
        for stream in streams:
            await stream.aclose()
        nursery.cancel_scope.cancel()


async def test_second_sigterm_ends_at_once(server: Server) -> None:
    assert server.process is not None
    # A request whose body never comes keeps the drain busy.
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    await stream.send_all(b"POST /api/v1/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
    key = await server.make_key("cam1")
    async with server.camera_socket("cam1", key):
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
        with trio.fail_after(3):
            code = await server.process.wait()
    assert code in (0, 128 + signal.SIGTERM)
    await stream.aclose()


async def test_camera_when_the_server_stops_is_told_to_come_back(server: Server) -> None:
    key = await server.make_key("cam1")
    async with server.socket(f"/ingest/ws?app=live&room=cam1&key={key}") as socket:
        await socket.get_message()
        await server.stop()
        await eventually(lambda: socket.closed is not None)
        assert socket.closed is not None
        assert socket.closed.code == 1012
    assert key not in server.log()


async def test_restart_ends_the_rows_of_cameras_and_remembers_since_when(server: Server) -> None:
    async with server.camera("cam1"):
        streams = (await server.request("GET", "/api/v1/apps/live/streams")).data
        assert [s["status"] for s in streams] == ["active"]
        stream_id = streams[0]["streamId"]
        await server.stop(signal.SIGKILL)
    await server.start()
    assert (await server.request("GET", "/api/v1/apps/live/streams")).data == []
    row = (await server.request("GET", f"/api/v1/apps/live/streams/{stream_id.replace('/', '%2F')}")).data
    assert row["status"] == "ended"
    async with server.socket("/live/ws?app=live&room=cam1") as socket:
        state = json.loads(await socket.get_message())
    assert state["state"] == "offline"
    assert state["since"] is not None


async def write_keys(server: Server, name: str, acknowledged: list[str]) -> None:
    """Make one key after another until the server is gone."""
    count = 0
    while True:
        try:
            answer = await server.request("POST", "/api/v1/apps/live/ws-ingest", {"room": f"{name}-{count}"})
        except (OSError, trio.BrokenResourceError, h11.RemoteProtocolError):
            return
        if answer.status == 201:
            acknowledged.append(answer.data["id"])
        count += 1


async def test_kill_9_at_any_moment_loses_no_acknowledged_write(server: Server) -> None:
    acknowledged: list[str] = []
    for round_number in range(5):
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(write_keys, server, f"r{round_number}-{number}", acknowledged)
            await trio.sleep(0.2 + 0.13 * round_number)
            await server.stop(signal.SIGKILL)
            nursery.cancel_scope.cancel()
        await server.start()
    listed: set[str] = set()
    while True:
        page = await server.request("GET", f"/api/v1/apps/live/ws-ingest?limit=500&offset={len(listed)}")
        if not page.data:
            break
        listed |= {row["id"] for row in page.data}
    assert acknowledged, "nothing was written: the test tested nothing"
    assert set(acknowledged) <= listed


async def test_unix_socket_serves_beside_tcp_and_its_file_goes(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    async with run_server(tmp_path, env={"STREAMHUB_HTTP_BIND": f"127.0.0.1:0,unix:{path}"}) as server:
        async with await trio.open_unix_socket(path) as stream:
            answer = await exchange(stream, h11.Request(method="GET", target="/api/v1/health", headers=[("Host", "x")]))
        assert answer.json()["up"] is True
        assert await server.stop() == 0
    assert not os.path.lexists(path)


async def test_jpeg_sent_is_the_jpeg_got(server: Server) -> None:
    key = await server.make_key("cam1")
    picture = jpeg(7, (64, 48))
    async with server.camera_socket("cam1", key) as socket:
        await socket.send_message(picture)
        await eventually(lambda: server.shows("cam1"))
        answer = await server.request("GET", "/live/live/cam1/frame.jpg", token=None)
    assert answer.body == picture
    assert answer.headers["content-type"] == "image/jpeg"


async def test_front_page_lists_live_rooms_of_apps_with_a_public_wall_only(server: Server) -> None:
    async with server.camera("cam1"):
        before = (await server.request("GET", "/", token=None)).body.decode()
        assert "Watch now" not in before
        wall = {"features": {"publicWall": True}}
        assert (await server.request("PATCH", "/api/v1/apps/live", wall)).status == 200
        after = (await server.request("GET", "/", token=None)).body.decode()
        assert "Watch now" in after


async def test_second_server_on_the_same_folder_is_refused_and_the_first_keeps_its_rows(
    server: Server, tmp_path: Path
) -> None:
    async with server.camera("cam1"):
        other = Server(server.data_dir, {}, (), tmp_path / "other.log")
        try:
            await other.start()
        except AssertionError:
            assert other.process is not None
            assert await other.process.wait() == 2
        assert "another server uses the data folder" in other.log()
        streams = (await server.request("GET", "/api/v1/apps/live/streams")).data
        assert [s["status"] for s in streams] == ["active"]


async def test_keys_made_beside_a_lan_server_carry_its_address(tmp_path: Path) -> None:
    async with run_server(tmp_path, "--lan") as server:
        made = await trio.run_process(
            [*PROGRAM, "keys", "create", "cam1", "--json", "--data-dir", str(server.data_dir)],
            capture_stdout=True,
            env=clean_env(),
        )
        url = json.loads(made.stdout)[0]["wsUrl"]
        assert f":{server.port}/ingest/ws" in url
        assert "127.0.0.1" not in url


async def test_stream_is_found_and_deleted_by_its_row_id(server: Server) -> None:
    async with server.camera("cam1"):
        row = (await server.request("GET", "/api/v1/apps/live/streams")).data[0]
        found = (await server.request("GET", f"/api/v1/apps/live/streams/{row['id']}")).data
        assert found["streamId"] == row["streamId"]
        assert (await server.request("DELETE", f"/api/v1/apps/live/streams/{row['id']}")).status == 204
        assert (await server.request("GET", "/api/v1/apps/live/streams")).data == []


async def test_viewer_whose_app_becomes_private_is_told_so(server: Server) -> None:
    async with server.camera("cam1"), server.socket("/live/ws?app=live&room=cam1") as viewer:
        assert json.loads(await viewer.get_message())["state"] == "live"
        closed = {"features": {"publicPlayback": False}}
        assert (await server.request("PATCH", "/api/v1/apps/live", closed)).status == 200
        with suppress(ConnectionClosed):
            while True:
                await viewer.get_message()
        assert viewer.closed is not None
        assert viewer.closed.code == 4401
