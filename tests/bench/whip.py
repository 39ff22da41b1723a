"""WHIP: the time from POST to answer through our door and straight at livekit-server, and what a publication costs us.

The two are asked in turn, of the same livekit-server, by the same client, with the same offer: the difference is ours.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import h11
import trio

from streamhub.livekit.tokens import JoinGrant, LiveKitKeys, mint_join_token
from tests.bench.figures import cpu_seconds, load, percentile, save, table
from tests.e2e.rooms.conftest import livekit_ready
from tests.e2e.whip.conftest import ingress_state, make_ingress
from tests.support.livekit import livekit_env
from tests.support.offers import OBS_30
from tests.support.server import Answer, Server, exchange, run_server
from tests.support.whip import whip_peer

POSTS_A_KEY = 25  # a stream key may start 30 times a minute
QUIET_S = 0.15  # what ends sends webhooks to our process: neither of the two is measured under them
SDP = {"Content-Type": "application/sdp"}


@attrs.frozen
class Target:
    """One of the two: its port, its endpoint, and what authorises a call."""

    port: int
    path: str
    bearer: str

    async def ask(self, method: str, path: str, body: str = "", headers: Mapping[str, str] = {}) -> Answer:
        sent = [("Host", "127.0.0.1"), ("Connection", "close"), ("Authorization", f"Bearer {self.bearer}")]
        sent += [("Content-Length", str(len(body))), *headers.items()]
        with trio.fail_after(20):
            async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
                return await exchange(stream, h11.Request(method=method, target=path, headers=sent), body.encode())

    async def publish(self) -> float:
        """Publish and end it; the milliseconds from the connection's begin to the answer's end."""
        began = trio.current_time()
        answer = await self.ask("POST", self.path, OBS_30, SDP)
        took = (trio.current_time() - began) * 1000
        assert answer.status == 201, answer.body
        await self.ask("DELETE", answer.headers["location"])
        return took


def direct(server: Server, room: str) -> Target:
    """The livekit-server below our server, as a client with a token of its own meets it."""
    config = json.loads((server.data_dir / "livekit.yaml").read_text())
    ((key, secret),) = config["keys"].items()
    grant = JoinGrant(room=room, identity="bench", can_publish=True)
    token = mint_join_token(LiveKitKeys(key, secret), grant, datetime.now(UTC), 600)
    return Target(config["port"], "/whip/v1", token)


async def answers(server: Server, posts: int) -> dict[str, list[float]]:
    """Milliseconds of each POST; ours and LiveKit's alternate, and so does who is first."""
    found: dict[str, list[float]] = {"streamhub": [], "livekit-server": []}
    for start in range(0, posts, POSTS_A_KEY):
        made = await make_ingress(server, f"bench{start}")
        ours = Target(server.port, "/whip", made["streamKey"])
        pair = {"streamhub": ours, "livekit-server": direct(server, f"direct{start}")}
        for n in range(min(POSTS_A_KEY, posts - start) + 1):
            for name in sorted(pair, reverse=n % 2 == 0):
                took = await pair[name].publish()
                await trio.sleep(QUIET_S)
                if n:  # the first one makes the room
                    found[name].append(took)
    return found


async def cost(server: Server, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Per cent of a core that our process used, alternately with no publication and with one (aiortc, H.264, Opus)."""
    found: dict[str, list[float]] = {"idle": [], "publishing": []}

    async def measure(name: str) -> None:
        before, began = cpu_seconds(server.pid), trio.current_time()
        await trio.sleep(seconds)
        found[name].append((cpu_seconds(server.pid) - before) / (trio.current_time() - began) * 100)

    for n in range(rounds):
        await measure("idle")
        made = await make_ingress(server, f"long{n}")
        async with whip_peer(made["url"], made["streamKey"], video="h264") as encoder:
            await encoder.said("connection", state="connected")
            await ingress_state(server, made["ingressId"], "publishing", 20)
            await measure("publishing")
        await ingress_state(server, made["ingressId"], "inactive", 30)
    return found


async def measure(posts: int, seconds: float, rounds: int) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        async with run_server(Path(folder), env=livekit_env()) as server:
            await livekit_ready(server)
            load_before = load()
            times = await answers(server, posts) if posts else {}
            used = await cost(server, seconds, rounds) if rounds else {}
    return {"load_before": load_before, "load_after": load(), "answer_ms": times, "cpu_per_cent": used}


def report(figures: Mapping[str, Any]) -> str:
    """The figures as tables."""
    lines = [f"load of the machine: {figures['load_before']} before, {figures['load_after']} after"]
    if times := figures["answer_ms"]:
        rows = [["POST → 201, ms", "p50", "p95", "max"]]
        for name, values in times.items():
            rows.append([name, *(f"{v:.1f}" for v in (percentile(values, 50), percentile(values, 95), max(values)))])
        ours, theirs = times["streamhub"], times["livekit-server"]
        added = [percentile(ours, p) - percentile(theirs, p) for p in (50, 95)]
        rows.append(["ours on top", *(f"{v:.1f}" for v in added), ""])
        ratio = [percentile(ours, p) / percentile(theirs, p) for p in (50, 95)]
        rows.append(["ratio", *(f"{v:.2f}" for v in ratio), ""])
        lines += ["", f"{len(ours)} answers each", table(rows)]
    if used := figures["cpu_per_cent"]:
        rows = [["our process, % of a core", *(str(n + 1) for n in range(len(used["idle"]))), "mean"]]
        means = {}
        for name, values in used.items():
            means[name] = sum(values) / len(values)
            rows.append([name, *(f"{v:.2f}" for v in values), f"{means[name]:.2f}"])
        blanks = [""] * len(used["idle"])
        rows.append(["one publication", *blanks, f"{means['publishing'] - means['idle']:.2f}"])
        lines += ["", table(rows)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench whip", description=__doc__)
    parser.add_argument("--posts", type=int, default=200, help="answers to measure of each; 0: none (200)")
    parser.add_argument("--seconds", type=float, default=60, help="how long CPU time is measured each time (60)")
    parser.add_argument("--rounds", type=int, default=3, help="how often CPU time is measured; 0: not (3)")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    args = parser.parse_args()
    figures = trio.run(measure, args.posts, args.seconds, args.rounds)
    save(args.json, "whip", figures)
    sys.stdout.write(report(figures) + "\n")


if __name__ == "__main__":
    main()
