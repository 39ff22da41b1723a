"""``streamhub serve`` with a room ``relayed`` whose source gives HLS and nothing else, as one that LiveKit lacks."""

from __future__ import annotations

import sys

import trio

import streamhub.main
from streamhub.cli import cli
from streamhub.rooms.feed import Feed
from streamhub.rooms.hub import Hub
from streamhub.rooms.posters import Poster
from streamhub.rooms.room import Room
from tests.support.hls_feed import SIZE, feed_room
from tests.support.media import jpeg, room_key

ROOM = "relayed"


class FedHub(Hub):
    """A hub that comes with that room."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(super().run)
            task_status.started()
            async with self.lease(room_key(ROOM), publishing=True) as room:
                await room.host("feed", lambda: _live(room))


async def _live(room: Room) -> None:
    room.posters.keep(room.key, Poster(jpeg(size=SIZE), room.clock()))
    room.attach_feed(Feed("encoder", room.clock()))
    await feed_room(room)


if __name__ == "__main__":
    streamhub.main.Hub = FedHub  # type: ignore[misc]
    cli(["serve", *sys.argv[1:]])
