"""Checks of the SDP that WHIP carries (RFC 9725): offers before they are sent on, answers before they are believed.

Only what the checks need is parsed (RFC 8866); nothing is rewritten but the order of candidates. Errors name lines and
kinds of media, never credentials or addresses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from streamhub.errors import BadRequest, StreamHubError, Unavailable

SDP_TYPE = "application/sdp"
MOST_SDP_BYTES = 64 * 1024
_MOST_MEDIA = 16
_LINE = re.compile(r"([a-z])=(.*)")
_MEDIA = re.compile(r"([a-z]+) (\d{1,5})(?:/\d+)? (\S+) (.+)")
_RTPMAP = re.compile(r"rtpmap:(\S+) ([A-Za-z0-9._-]{1,40})/\d+.*")
_ICE = re.compile(r"[A-Za-z0-9+/]+")
_FINGERPRINT = re.compile(r"fingerprint:[a-z0-9-]+ [0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+", re.IGNORECASE)
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
# Codecs of a LiveKit with its own defaults; of repair formats (rtx, red, ulpfec) alone nobody sees anything.
_CODECS = {"audio": {"opus", "pcmu", "pcma"}, "video": {"h264", "vp8", "vp9", "av1", "h265"}}
_NAMES = {"audio": "Opus, PCMU or PCMA", "video": "H.264, H.265, VP8, VP9 or AV1"}
_STATIC = {"0": "pcmu", "8": "pcma"}  # payload types that need no rtpmap (RFC 3551)


class BadSdp(BadRequest):
    """The text is not SDP, or not the SDP of a WebRTC peer."""

    code = "bad_sdp"
    hint = "Send the session description of a WebRTC peer connection as it is."


class SdpRefused(StreamHubError):
    """The SDP is well formed, and nothing could come of it."""

    status, code = 422, "sdp_refused"
    hint = "Offer audio or video to send, in a codec LiveKit knows."


@attrs.frozen
class Media:
    """One m-section. ``codecs`` are encoding names in lower case; ``port`` 0 without ``bundle_only`` means refused."""

    kind: str
    port: int
    protocol: str
    mid: str | None
    direction: str
    codecs: frozenset[str]
    ufrag: str | None
    pwd: str | None = attrs.field(repr=False)
    fingerprint: bool
    bundle_only: bool

    @property
    def refused(self) -> bool:
        """Whether this section is switched off."""
        return self.port == 0 and not self.bundle_only

    @property
    def sends(self) -> bool:
        """Whether audio or video is sent by whoever wrote the section."""
        return self.kind in _CODECS and not self.refused and self.direction in ("sendrecv", "sendonly")

    @property
    def usable(self) -> frozenset[str]:
        """Its codecs that LiveKit knows."""
        return self.codecs & _CODECS.get(self.kind, set())


@attrs.frozen
class Description:
    """A session description: its sections in order, and the mids bundled together."""

    media: tuple[Media, ...]
    bundle: tuple[str, ...]


@attrs.frozen
class Offer:
    """A checked offer. ``mid`` and ``ufrag`` are those of the one transport all of it uses."""

    description: Description
    mid: str
    ufrag: str


def parse_description(text: str) -> Description:
    """The description. Raises BadSdp naming the line."""
    head: list[str] = []
    sections: list[tuple[re.Match[str], list[str]]] = []
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if lines[0] != "v=0":
        raise BadSdp("the body is no session description: it does not begin with 'v=0'")
    for number, line in enumerate(lines, 1):
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise BadSdp(f"line {number} of the session description is not of the form 'a=…'")
        if parts[1] == "m":
            media = _MEDIA.fullmatch(parts[2])
            if media is None or int(media[2]) > 65535:
                raise BadSdp(f"line {number} of the session description is no media line")
            sections.append((media, []))
        elif parts[1] == "a":
            (sections[-1][1] if sections else head).append(parts[2])
    if len(sections) > _MOST_MEDIA:
        raise BadSdp(f"the session description has {len(sections)} media sections, at most {_MOST_MEDIA} are taken")
    bundle = next((a.split()[1:] for a in head if a.startswith("group:BUNDLE")), [])
    found = tuple(_media(match, attributes, head) for match, attributes in sections)
    mids = [m.mid for m in found if m.mid is not None]
    if len(set(mids)) < len(mids):
        raise BadSdp("two media sections have the same mid")
    return Description(found, tuple(bundle))


def check_offer(text: str) -> Offer:
    """The offer, if something can be published by it. Raises BadSdp or SdpRefused.

    LiveKit answers offers that lead nowhere with 201, or with a 503 that leaves a ghost in the room: they are refused
    here, before anybody who publishes already is disturbed.
    """
    description = parse_description(text)
    active = [m for m in description.media if not m.refused]
    for media in active:
        _check_transport(media, description.bundle)
    sending = [m for m in active if m.sends]
    if not sending:
        raise SdpRefused(
            "the offer sends neither audio nor video",
            code="nothing_sent",
            hint="Offer 'sendonly' media: WHIP publishes.",
        )
    for media in sending:
        if not media.usable:
            known = ", ".join(sorted(media.codecs)[:8]) or "none"
            raise SdpRefused(
                f"the offer's {media.kind} is in no codec LiveKit knows ({known})",
                code="no_usable_codec",
                hint=f"Offer {_NAMES[media.kind]}.",
            )
    # The first mid of the group carries the transport (RFC 9143 §7.2).
    first = next((m for m in active if m.mid == description.bundle[0]), None)
    if first is None or first.mid is None or first.ufrag is None:
        raise BadSdp("the first mid of the BUNDLE group belongs to no media section in use")
    return Offer(description, first.mid, first.ufrag)


def check_answer(text: str, offer: Offer) -> None:
    """Return if the answer takes all the offer sends. Raises SdpRefused if not, Unavailable for a broken answer."""
    try:
        answered = parse_description(text).media
    except BadSdp as exc:
        raise Unavailable(f"LiveKit's answer cannot be read: {exc.message}", code="bad_answer") from None
    offered = offer.description.media
    if len(answered) != len(offered):
        raise Unavailable("LiveKit's answer has other media sections than the offer", code="bad_answer")
    for ours, theirs in zip(offered, answered, strict=True):
        if not ours.sends:
            continue
        takes = not theirs.refused and theirs.direction in ("recvonly", "sendrecv")
        if not takes or not theirs.usable & ours.usable:
            raise SdpRefused(
                f"LiveKit refuses the {ours.kind} of this offer ({', '.join(sorted(ours.usable))})",
                code="media_refused",
                hint=f"Offer {_NAMES[ours.kind]}; LiveKit's setting 'enabled_codecs' may leave some out.",
            )


def udp_first(text: str) -> str:
    """The description with every section's UDP candidates before its others.

    Order has no meaning (RFC 8839 §5.1), but libav's WHIP muxer, and so ffmpeg, looks at the first candidate alone and
    gives up if that one is TCP. LiveKit writes them in the order it found them.
    """
    lines = text.split("\n")
    start = 0
    for end in range(len(lines) + 1):
        if end < len(lines) and not lines[end].startswith("m="):
            continue
        places = [n for n in range(start, end) if lines[n].startswith("a=candidate:")]
        ordered = sorted((lines[n] for n in places), key=lambda line: line.split(" ")[2:3] not in (["udp"], ["UDP"]))
        for place, line in zip(places, ordered, strict=True):
            lines[place] = line
        start = end
    return "\n".join(lines)


def _check_transport(media: Media, bundle: Sequence[str]) -> None:
    where = f"the {media.kind} section"
    if "TLS" not in media.protocol.upper():
        raise BadSdp(f"{where} is not encrypted ({media.protocol[:40]}): this is no offer of a WebRTC peer")
    if media.mid is None:
        raise BadSdp(f"{where} has no mid")
    if media.mid not in bundle:
        raise BadSdp(f"{where} is outside the BUNDLE group: WHIP sends everything over one transport (RFC 9725 §4.4)")
    # Lengths of RFC 8839 §5.4; LiveKit would answer 503 and leave a ghost.
    if not _is_ice(media.ufrag, 4) or not _is_ice(media.pwd, 22):
        raise BadSdp(f"{where} has no valid ice-ufrag and ice-pwd")
    if not media.fingerprint:
        raise BadSdp(f"{where} has no certificate fingerprint")


def _is_ice(text: str | None, least: int) -> bool:
    return text is not None and least <= len(text) <= 256 and _ICE.fullmatch(text) is not None


def _media(match: re.Match[str], attributes: list[str], session: list[str]) -> Media:
    formats = match[4].split()
    named = {m[1]: m[2].lower() for a in attributes if (m := _RTPMAP.fullmatch(a))}
    names = {named.get(f) or _STATIC.get(f) for f in formats}
    both = [*attributes, *session]
    return Media(
        kind=match[1],
        port=int(match[2]),
        protocol=match[3],
        mid=value_of(attributes, "mid"),
        direction=next((a for a in both if a in _DIRECTIONS), "sendrecv"),
        codecs=frozenset(n for n in names if n is not None),
        ufrag=value_of(both, "ice-ufrag"),
        pwd=value_of(both, "ice-pwd"),
        fingerprint=any(_FINGERPRINT.fullmatch(a.strip()) for a in both),
        bundle_only="bundle-only" in attributes,
    )


def value_of(attributes: Sequence[str], name: str) -> str | None:
    """The value of the first attribute of that name."""
    return next((a[len(name) + 1 :].strip() for a in attributes if a.startswith(f"{name}:")), None)
