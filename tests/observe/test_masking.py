"""A rule that masks is tried only where the text has what it cannot do without."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from streamhub.observe import log as log_module

_HINTS = ["Bearer ", "bEARER  ", "eyJ", "sk_", "key=", "token: ", "://a:b@", "/whip/", "password%3D", '"secret":"']


def masked_by_every_rule(text: str) -> str:
    for rule, by in (
        (log_module._TOKENS, r"\1…"),
        (log_module._WHIP, r"\1…"),
        (log_module._JWT, "eyJ…"),
        (log_module._BEARER, r"\1 …"),
        (log_module._USERINFO, r"\1:…@"),
    ):
        text = rule.sub(by, text)
    return log_module._NAMED.sub(lambda m: m[0] if "…" in m[3] else f"{m[1]}{m[2]}…", text)


@example(["bEARER  "])
@example(["eyJ", ".", "."])
@example(["password%3d"])
@given(st.lists(st.sampled_from(_HINTS) | st.text(), max_size=6))
def test_mask_when_a_rule_is_passed_over_then_it_would_have_changed_nothing(parts: list[str]) -> None:
    text = "".join(f"{part}abcdefghijkl" for part in parts)
    assert log_module.mask(text) == masked_by_every_rule(text)
