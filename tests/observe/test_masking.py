"""The quick look that passes most texts of a log line over."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from streamhub.observe import log as log_module

_HINTS = ["Bearer ", "bEARER  ", "eyJ", "sk_", "key=", "token: ", "://a:b@", "/whip/", "password%3D", '"secret":"']


@example(["bEARER  "])
@example(["eyJ", ".", "."])
@given(st.lists(st.sampled_from(_HINTS) | st.text(), max_size=6))
def test_mask_when_a_text_is_passed_over_then_no_rule_would_have_changed_it(parts: list[str]) -> None:
    text = "".join(f"{part}abcdefghijkl" for part in parts)
    if log_module._SUSPICIOUS.search(text) is None:
        rules = (v for k, v in vars(log_module).items() if isinstance(v, re.Pattern) and k != "_SUSPICIOUS")
        assert not any(rule.search(text) for rule in rules)
