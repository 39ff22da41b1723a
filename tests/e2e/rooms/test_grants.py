"""What join tokens grant, for every kind of client: exactly that, no less and no more, by the real livekit-server.

All rows of the table are in one room at once. What may arrive has to; then each tries what it may not, and when its
client has given up (LiveKit refuses without a word), nothing else has arrived anywhere.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.support.rtc import rtc_peer
from tests.support.seats import KINDS, Client, clients
from tests.support.server import Server

WAIT_S = 60.0
ARRIVES = {"video": "frames", "audio": "sound"}


@attrs.frozen
class Grant:
    """What is asked for, and what has to come of it. ``asked`` None: a public play token."""

    asked: dict[str, Any] | None
    sends: frozenset[str] = frozenset()
    receives: bool = True
    speaks: bool = True
    seen: bool = True


TABLE = {
    "all": Grant({}, frozenset({"video", "audio"})),
    "view-only": Grant({"canPublish": False}),
    "send-only": Grant({"canSubscribe": False}, frozenset({"video", "audio"}), receives=False),
    "audio-only": Grant({"audioOnly": True}, frozenset({"audio"})),
    "hidden": Grant({"hidden": True}, seen=False),
    "recorder": Grant({"recorder": True}),
    "viewer": Grant(None, speaks=False, seen=False),
}


async def mint(server: Server, identity: str, **asked: Any) -> str:
    body = {"room": "demo", "identity": identity, **asked}
    answer = await server.request("POST", "/api/v1/apps/live/tokens", body)
    assert answer.status == 201, answer.body
    return str(answer.data["token"])


async def token_of(server: Server, name: str, grant: Grant) -> str:
    if grant.asked is not None:
        return await mint(server, name, **grant.asked)
    return str((await server.request("GET", "/api/v1/apps/live/play-token/demo", token=None)).data["token"])


def heard(client: Client, event: str) -> set[Any]:
    """Of whom (for data: what) the client has had this."""
    return {e["text"] if event == "data" else e["who"] for e in client.events if e["event"] == event}


@pytest.mark.parametrize("kind", KINDS)
async def test_token_then_livekit_allows_exactly_what_it_grants(hub: Server, kind: str) -> None:
    tokens = {name: await token_of(hub, name, grant) for name, grant in TABLE.items()}
    async with rtc_peer(hub.ws_url, await mint(hub, "eve")) as eve, rtc_peer(hub.ws_url, await mint(hub, "bob")) as bob:
        await eve.said("joined")
        for media, event in ARRIVES.items():
            await bob.do("publish", kind=media)
            await eve.said(event, who="bob", within_s=WAIT_S)
        async with clients(kind, hub, tokens) as room:
            watching = {"eve": eve, **{n: c for n, c in room.items() if TABLE[n].receives}}
            for event in ARRIVES.values():
                for client in watching.values():
                    await client.said(event, who="bob", within_s=WAIT_S)
            # One after the other: an SDK that negotiates two things at once may never get the second.
            for name, grant in TABLE.items():
                for media in sorted(grant.sends):
                    await room[name].do("publish", kind=media)
                    await room[name].said("published", kind=media, within_s=WAIT_S)
                    for other in watching.keys() - {name}:
                        await watching[other].said(ARRIVES[media], who=name, within_s=WAIT_S)
            for name, client in {"bob": bob, **room}.items():
                await client.do("say", text=f"I am {name}")
            for name, client in {"eve": eve, **room}.items():
                for other in {"bob", *(n for n, g in TABLE.items() if g.speaks)} - {name}:
                    await client.said("data", text=f"I am {other}", within_s=WAIT_S)
            refused = [(n, media) for n, g in TABLE.items() for media in ARRIVES.keys() - g.sends]
            for name, media in refused:
                await room[name].do("publish", kind=media)
            for name, media in refused:
                await room[name].said("refused", kind=media, within_s=WAIT_S)

            senders = {m: {n for n, g in TABLE.items() if m in g.sends} | {"bob"} for m in ARRIVES}
            assert heard(eve, "frames") == senders["video"]
            assert heard(eve, "sound") == senders["audio"]
            assert heard(eve, "data") == {f"I am {n}" for n, g in TABLE.items() if g.speaks} | {"I am bob"}
            assert heard(eve, "participant") - {"bob"} == {n for n, g in TABLE.items() if g.seen}
            for name, client in room.items():
                for media, event in ARRIVES.items():
                    expected = senders[media] - {name} if TABLE[name].receives else set()
                    assert (name, heard(client, event)) == (name, expected)
                published = {e["kind"] for e in client.events if e["event"] == "published"}
                assert (name, published) == (name, set(TABLE[name].sends))
                assert not [e for e in client.events if e["event"] == "error"]
            listed = (await hub.request("GET", "/api/v1/apps/live/streams")).data
            assert {s["participant"] for s in listed} == senders["audio"]
