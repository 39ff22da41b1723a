from __future__ import annotations

import pytest
import trio
import trio.testing

from streamhub.errors import NotFound
from streamhub.services.finishing import finish


async def test_finish_then_what_it_returns_or_raises() -> None:
    async def answer() -> int:
        await trio.lowlevel.checkpoint()
        return 7

    async def refuse() -> int:
        raise NotFound("not there")

    assert await finish(answer, 2) == 7
    with pytest.raises(NotFound, match="not there"):
        await finish(refuse, 2)


@pytest.mark.parametrize(("takes_s", "ended"), [(1.0, True), (60.0, False)])
async def test_finish_when_the_caller_is_cancelled_then_it_has_the_grace_and_no_more(
    autojump_clock: trio.testing.MockClock, takes_s: float, ended: bool
) -> None:
    done = []

    async def act() -> None:
        await trio.sleep(takes_s)
        done.append(True)

    with trio.CancelScope() as caller:
        caller.cancel()
        await finish(act, 2)
    assert caller.cancelled_caught
    assert bool(done) is ended
    assert trio.current_time() == (1 if ended else 2)
