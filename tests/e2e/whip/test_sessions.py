"""What happens to a WHIP session: takeover, ICE restart, revocation, a killed encoder, our own restart."""

from __future__ import annotations

import signal
from pathlib import Path

import trio

from tests.e2e.whip.conftest import decoded, ingress_state, livekit_ready, make_ingress, stream_types, viewer_of
from tests.livekit.conftest import KEYS, running_livekit
from tests.support.rtc import rtc_peer
from tests.support.server import Server, run_server
from tests.support.waiting import eventually
from tests.support.whip import whip_peer

TRICKLE = {"Content-Type": "application/trickle-ice-sdpfrag"}


def path_of(location: str) -> str:
    return "/whip/" + location.partition("/whip/")[2]


async def test_second_encoder_by_the_same_key_then_it_takes_over_and_a_late_delete_does_no_harm(hub: Server) -> None:
    made = await make_ingress(hub)
    async with rtc_peer(*await viewer_of(hub)) as viewer, whip_peer(made["url"], made["streamKey"]) as first:
        await decoded(viewer, "ingress-live")
        location = (await first.said("answered"))["location"]
        viewer.events.clear()
        async with whip_peer(made["url"], made["streamKey"]) as second:
            await second.said("answered")
            await first.said("connection", state="closed", within_s=1)
            assert (await hub.request("DELETE", path_of(location), token=made["streamKey"])).status == 404
            await decoded(viewer, "ingress-live")
            await ingress_state(hub, made["ingressId"], "publishing", 3)


async def test_ice_restart_then_422_and_pictures_go_on_in_a_server_that_is_still_the_same(hub: Server) -> None:
    made = await make_ingress(hub)
    async with rtc_peer(*await viewer_of(hub)) as viewer, whip_peer(made["url"], made["streamKey"]) as encoder:
        await decoded(viewer, "ingress-live")
        location = path_of((await encoder.said("answered"))["location"])
        body = b"a=ice-ufrag:NEW0\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        for if_match in ("*", '"x", *'):
            sent = {**TRICKLE, "If-Match": if_match}
            answer = await hub.request("PATCH", location, raw=body, token=made["streamKey"], headers=sent)
            assert (answer.status, answer.json()["code"]) == (422, "ice_restart_refused")
        async with rtc_peer(*await viewer_of(hub)) as later:
            await decoded(later, "ingress-live")
        assert "livekit-server ended" not in hub.log()
        assert hub.log().count("livekit-server is ready") == 1
        assert encoder.events[-1] == {"event": "connection", "state": "connected"}


async def test_trickled_candidates_then_livekit_takes_them(hub: Server) -> None:
    made = await make_ingress(hub)
    async with whip_peer(wait=True) as encoder:
        offer = (await encoder.said("offer"))["sdp"]
        lines = offer.split("\r\n")
        bare = "\r\n".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of-candidates")))
        posted = {"Content-Type": "application/sdp"}
        answer = await hub.request("POST", "/whip", raw=bare.encode(), token=made["streamKey"], headers=posted)
        assert answer.status == 201
        assert encoder.process.stdin is not None
        mid = next(line for line in lines if line.startswith("a=mid:"))
        ufrag = next(line for line in lines if line.startswith("a=ice-ufrag:"))
        pwd = next(line for line in lines if line.startswith("a=ice-pwd:"))
        candidates = dict.fromkeys(line for line in lines if line.startswith("a=candidate"))
        body = "\r\n".join([ufrag, pwd, "m=audio 9 UDP/TLS/RTP/SAVPF 0", mid, *candidates, "a=end-of-candidates", ""])
        sent = {**TRICKLE, "If-Match": answer.headers["etag"]}
        patched = await hub.request(
            "PATCH", answer.headers["location"], raw=body.encode(), token=made["streamKey"], headers=sent
        )
        assert (patched.status, patched.body) == (204, b"")
        await encoder.give(answer=answer.body.decode())
        await encoder.said("connection", state="connected")
        await ingress_state(hub, made["ingressId"], "publishing", 10)


async def test_ingress_deleted_while_it_publishes_then_its_encoder_is_out_within_a_second(hub: Server) -> None:
    made = await make_ingress(hub)
    async with whip_peer(made["url"], made["streamKey"]) as encoder:
        await encoder.said("connection", state="connected")
        await hub.request("DELETE", f"/api/v1/apps/live/ingress/{made['ingressId']}")
        await encoder.said("connection", state="closed", within_s=1)


async def test_encoder_killed_then_gone_within_twenty_seconds(hub: Server) -> None:
    made = await make_ingress(hub)
    async with whip_peer(made["url"], made["streamKey"]) as encoder:
        await encoder.said("connection", state="connected")
        await ingress_state(hub, made["ingressId"], "publishing", 10)
        killed = trio.current_time()
        encoder.process.kill()
        await ingress_state(hub, made["ingressId"], "inactive", 20)

        async def gone() -> bool:
            return await stream_types(hub) == {}

        await eventually(gone, within_s=max(1.0, killed + 25 - trio.current_time()))


async def test_our_own_death_and_restart_when_livekit_runs_elsewhere_then_the_session_goes_on(tmp_path: Path) -> None:
    (tmp_path / "livekit").mkdir()
    async with running_livekit(tmp_path / "livekit") as running:
        env = {
            "STREAMHUB_LIVEKIT_URL": str(running.livekit.url),
            "STREAMHUB_LIVEKIT_API_KEY": KEYS.api_key,
            "STREAMHUB_LIVEKIT_API_SECRET": KEYS.api_secret,
        }
        async with run_server(tmp_path, env=env) as server:
            await livekit_ready(server)
            made = await make_ingress(server)
            async with whip_peer(made["url"], made["streamKey"]) as encoder:
                await encoder.said("answered")  # from now on the session is owned
                await server.stop(signal.SIGKILL)
                await server.start()
                await encoder.said("connection", state="connected")
                await livekit_ready(server)
                await ingress_state(server, made["ingressId"], "publishing", 20)
                assert await server.stop() == 0
                await server.start()
                await livekit_ready(server)
                await ingress_state(server, made["ingressId"], "publishing", 10)

                async def listed(server: Server = server) -> bool:
                    return await stream_types(server) == {"ingress-live": "whip"}

                await eventually(listed, within_s=7)
                assert encoder.events[-1] == {"event": "connection", "state": "connected"}
                await encoder.do("stop")
                assert (await encoder.said("deleted"))["status"] == 200


async def test_everything_when_logged_then_no_key_and_no_sdp(hub: Server) -> None:
    made = await make_ingress(hub)
    async with whip_peer(made["whip_url"], "") as encoder:
        location = (await encoder.said("answered"))["location"]
        await encoder.said("connection", state="connected")
        await encoder.do("stop")
        await encoder.said("deleted")
    log = hub.log()
    assert '"publishing"' in log
    for secret in (made["streamKey"], location.rpartition("/")[2], "a=candidate", "ice-pwd", "eyJhbGci"):
        assert secret not in log
