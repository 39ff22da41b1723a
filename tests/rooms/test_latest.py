from __future__ import annotations

import trio
import trio.testing

from streamhub.rooms.latest import Latest


async def test_wait_newer_when_a_newer_picture_is_there_then_it_returns_at_once() -> None:
    latest = Latest()
    latest.publish(b"one", live=True)
    with trio.fail_after(1):
        await latest.wait_newer(0)
    assert (latest.jpeg, latest.seq, latest.live) == (b"one", 1, True)


async def test_publish_when_several_wait_then_all_wake_and_see_only_the_newest() -> None:
    latest, seen = Latest(), []

    async def wait() -> None:
        await latest.wait_newer(0)
        seen.append(latest.jpeg)

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            latest.publish(b"one", live=True)
            latest.publish(b"two", live=True)
    assert seen == [b"two", b"two"]


async def test_retire_when_somebody_waits_then_it_waits_on_for_the_next_picture() -> None:
    latest, woken = Latest(), trio.Event()
    latest.publish(b"live", live=True)

    async def wait() -> None:
        await latest.wait_newer(0)
        woken.set()

    latest.retire()
    assert not latest.newer_than(0)
    assert not latest.live
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            assert not woken.is_set()
            latest.publish(b"placeholder", live=False)
            await woken.wait()
    assert latest.seq == 2
