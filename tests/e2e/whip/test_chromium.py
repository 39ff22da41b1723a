"""A page of another origin publishes from Chromium: CORS, and candidates trickled one by one."""

from __future__ import annotations

import threading
from pathlib import Path

import trio
from playwright.sync_api import sync_playwright

from tests.e2e.pages.conftest import CHROMIUM, FLAGS
from tests.e2e.whip.conftest import decoded, ingress_state, make_ingress, viewer_of
from tests.support.rtc import rtc_peer
from tests.support.server import Server

PUBLISH = """
async ([url, key]) => {
    const canvas = Object.assign(document.createElement("canvas"), {width: 320, height: 240});
    const pen = canvas.getContext("2d");
    setInterval(() => { pen.fillStyle = `hsl(${Date.now() / 10 % 360} 80% 50%)`; pen.fillRect(0, 0, 320, 240); }, 40);
    const sound = new AudioContext(), tone = sound.createOscillator(), out = sound.createMediaStreamDestination();
    tone.connect(out);
    tone.start();
    const peer = new RTCPeerConnection();
    const authorization = {Authorization: `Bearer ${key}`};
    let location, etag, waiting = [], patched = [];
    const trickle = async (candidate) => {
        const ice = peer.localDescription.sdp.match(/a=ice-(ufrag|pwd):.*\\r\\n/g).slice(0, 2).join("");
        const line = candidate.candidate ? `a=${candidate.candidate}` : "a=end-of-candidates";
        const body = `${ice}m=video 9 UDP/TLS/RTP/SAVPF 0\\r\\na=mid:${candidate.sdpMid}\\r\\n${line}\\r\\n`;
        const headers = {...authorization, "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag};
        patched.push((await fetch(location, {method: "PATCH", headers, body})).status);
    };
    peer.onicecandidate = ({candidate}) => {
        if (candidate) location ? trickle(candidate) : waiting.push(candidate);
    };
    for (const track of [...canvas.captureStream(25).getTracks(), ...out.stream.getTracks()])
        peer.addTransceiver(track, {direction: "sendonly"});
    const connected = new Promise((resolve) => {
        peer.onconnectionstatechange = () => peer.connectionState === "connected" && resolve();
    });
    await peer.setLocalDescription();
    // As it is before any candidate is known: all of them are trickled.
    const body = peer.localDescription.sdp.split("\\r\\n").filter((l) => !l.startsWith("a=candidate")).join("\\r\\n");
    const headers = {...authorization, "Content-Type": "application/sdp"};
    const answer = await fetch(url, {method: "POST", headers, body});
    location = new URL(answer.headers.get("Location"), url).href;
    etag = answer.headers.get("ETag");
    await peer.setRemoteDescription({type: "answer", sdp: await answer.text()});
    for (const candidate of waiting) await trickle(candidate);
    await connected;
    window.leave = async () => (await fetch(location, {method: "DELETE", headers: authorization})).status;
    return {status: answer.status, patched, etag};
}
"""


async def test_page_of_another_origin_then_seen_and_heard_and_gone_when_it_leaves(hub: Server, tmp_path: Path) -> None:
    assert CHROMIUM is not None, "no chromium on this machine"
    made = await make_ingress(hub)
    page_file = tmp_path / "page.html"
    page_file.write_text("<!doctype html><title>publisher</title>")
    seen = threading.Event()
    published: dict[str, object] = {}
    connected = trio.Event()

    def drive() -> object:
        with sync_playwright() as playwright:
            flags = [*FLAGS, "--autoplay-policy=no-user-gesture-required"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            page = browser.new_page()
            page.goto(page_file.as_uri())
            published.update(page.evaluate(PUBLISH, [made["url"], made["streamKey"]]))
            trio.from_thread.run_sync(connected.set)
            seen.wait(60)
            left = page.evaluate("window.leave()")
            browser.close()
            return left

    left: list[object] = []

    async def run() -> None:
        left.append(await trio.to_thread.run_sync(drive, abandon_on_cancel=True))

    async with rtc_peer(*await viewer_of(hub)) as viewer, trio.open_nursery() as nursery:
        nursery.start_soon(run)
        try:
            with trio.fail_after(40):
                await connected.wait()
            assert published["status"] == 201
            assert str(published["etag"]).startswith('"')
            patched = published["patched"]
            assert isinstance(patched, list)
            assert patched
            assert set(patched) == {204}
            await decoded(viewer, "ingress-live")
        finally:
            seen.set()
    assert left == [200]
    await ingress_state(hub, made["ingressId"], "inactive", 10)
