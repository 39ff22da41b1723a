from __future__ import annotations

import pytest

from streamhub.errors import Forbidden
from streamhub.model.access import CameraGrant, CameraLimits, Principal, Refusal, Right, Scope
from streamhub.model.names import AppName, RoomKey, RoomName

ALL = frozenset(Right)


def principal(rights: frozenset[Right] = ALL, app: str | None = None) -> Principal:
    return Principal(1, "t", Scope.APP if app else Scope.GLOBAL, rights, AppName(app) if app else None)


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("app", [None, "live", "other"])
def test_require_when_the_scope_is_global_then_only_the_right_counts(right: Right, app: str | None) -> None:
    principal().require(right, app)
    with pytest.raises(Forbidden) as refused:
        principal(ALL - {right}).require(right, app)
    assert refused.value.code == "missing_right"
    assert right.value in refused.value.hint


@pytest.mark.parametrize("right", Right)
def test_require_when_the_scope_is_one_app_then_nothing_else_is_reached(right: Right) -> None:
    principal(app="live").require(right, "live")
    with pytest.raises(Forbidden) as refused:
        principal(app="live").require(right, "other")
    assert refused.value.code == "outside_app_scope"
    with pytest.raises(Forbidden) as refused:
        principal(app="live").require(right)
    assert refused.value.code == "global_scope_required"


def test_require_when_right_and_scope_are_both_wrong_then_the_right_is_named_first() -> None:
    with pytest.raises(Forbidden) as refused:
        principal(frozenset({Right.READ}), app="live").require(Right.MANAGE, "other")
    assert refused.value.code == "missing_right"


def test_stream_id_when_a_camera_is_accepted_then_room_and_identity() -> None:
    room = RoomKey(AppName("live"), RoomName("live-cam1"))
    assert CameraGrant(room, "wsi_1", "door", CameraLimits()).stream_id == "live-cam1/door"


def test_refusal_when_no_reason_is_given_then_it_is_the_message() -> None:
    assert Refusal(4401, "invalid_key").reason == "invalid_key"
    assert Refusal(4409, "room_busy", reason="room busy").reason == "room busy"
