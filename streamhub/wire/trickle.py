"""Trickle ICE fragments (RFC 8840) as WHIP clients PATCH them: checked, and cut down to what LiveKit takes."""

from __future__ import annotations

import re

import attrs

from streamhub.wire.sdp import BadSdp, value_of

TRICKLE_TYPE = "application/trickle-ice-sdpfrag"
_CANDIDATE = re.compile(r"candidate:\S{1,32} \d{1,5} \S{1,10} \d{1,10} \S{1,255} \d{1,5} typ [a-z]+( .{0,400})?")
_MOST_CANDIDATES = 64
_MOST_LINE = 1000


@attrs.frozen
class Fragment:
    """A fragment that may be sent on: ``text`` for LiveKit, or None if nothing in it concerns the transport."""

    ufrag: str | None
    text: str | None = attrs.field(repr=False)


def check_fragment(text: str, mid: str) -> Fragment:
    """The fragment cut down to the section of ``mid``, the offer's first bundled one. Raises BadSdp.

    Browsers write candidates of every section while they do not know yet that all are bundled; LiveKit refuses a
    fragment whose section is another one.
    """
    head: list[str] = []
    sections: list[tuple[str, list[str]]] = []
    for number, line in enumerate(text.replace("\r\n", "\n").removesuffix("\n").split("\n"), 1):
        if len(line) > _MOST_LINE or line[:2] not in ("a=", "m="):
            raise BadSdp(f"line {number} of the fragment is neither 'a=…' nor 'm=…'")
        if line.startswith("m="):
            sections.append((line, []))
        else:
            _check_candidate(line[2:], number)
            (sections[-1][1] if sections else head).append(line[2:])
    ours = next((s for s in sections if value_of(s[1], "mid") == mid), None)
    every = [*head, *(a for _, attributes in sections for a in attributes)]
    if sum(a.startswith("candidate:") for a in every) > _MOST_CANDIDATES:
        raise BadSdp(f"the fragment has more than {_MOST_CANDIDATES} candidates")
    if ours is None:
        if not sections and any(a.startswith("candidate:") for a in head):
            raise BadSdp("the fragment's candidates belong to no media section")
        return Fragment(value_of(every, "ice-ufrag"), None)
    kept = [a for a in head if a.startswith(("ice-ufrag:", "ice-pwd:"))]
    if not all(value_of([*kept, *ours[1]], name) for name in ("ice-ufrag", "ice-pwd")):
        raise BadSdp("the fragment lacks ice-ufrag and ice-pwd (RFC 8840 §9)")
    lines = [*(f"a={a}" for a in kept), ours[0], *(f"a={a}" for a in ours[1])]
    return Fragment(value_of(every, "ice-ufrag"), "\r\n".join(lines) + "\r\n")


def _check_candidate(attribute: str, number: int) -> None:
    if attribute.startswith("candidate") and not _CANDIDATE.fullmatch(attribute):
        raise BadSdp(f"line {number} of the fragment is no ICE candidate")
