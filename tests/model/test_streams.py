from __future__ import annotations

from streamhub.model.streams import State


def test_active_when_a_state_is_shown_by_the_contract_then_the_middle_three_are() -> None:
    assert {s for s in State if s.active} == {State.CONNECTING, State.LIVE, State.STALE}
