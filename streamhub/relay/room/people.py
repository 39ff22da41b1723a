"""Who is in the room, and whose picture and sound are taken: values and rules, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

# What can be taken undecoded; LiveKit gives a publisher's backup codec in place of another.
VIDEO: Final = frozenset({"video/h264", "video/vp8"})
AUDIO: Final = frozenset({"audio/opus", "audio/red"})
# Who speaks is shown once it lasts, and for a while: no picture for every cough.
SPOKEN_S: Final = 1.5
SHOWN_S: Final = 4.0


@attrs.frozen
class PublishedTrack:
    """``kind``: video or audio; ``codecs``: MIME types it can be had in, in lower case."""

    sid: str
    kind: str
    screen: bool = False
    muted: bool = False
    codecs: frozenset[str] = frozenset()

    @property
    def usable(self) -> bool:
        """Whether there is something to take, in a codec we know."""
        known = VIDEO if self.kind == "video" else AUDIO
        return not self.muted and (not self.codecs or bool(self.codecs & known))


@attrs.frozen
class Person:
    """``order``: when they came, in any unit."""

    sid: str
    identity: str
    order: int = 0
    tracks: tuple[PublishedTrack, ...] = ()

    def video(self, *, screen: bool) -> PublishedTrack | None:
        return next((t for t in self.tracks if t.kind == "video" and t.usable and t.screen == screen), None)


@attrs.define
class People:
    """A shared screen first, then the one who speaks, then the one who is shown already, then the first with a camera.

    Times are seconds of the caller's clock. ``without``: the identity of one who is not counted.
    """

    without: str = ""
    _people: dict[str, Person] = attrs.field(factory=dict)
    _loudness: dict[str, float] = attrs.field(factory=dict)
    _loudest: str | None = None
    _loudest_since: float = 0.0
    _shown: str | None = None
    _shown_since: float = float("-inf")

    def update(self, people: Iterable[Person], gone: Iterable[str] = ()) -> None:
        """They have come, or changed; those with the sids of ``gone`` have left."""
        for person in people:
            if person.identity != self.without:
                self._people[person.sid] = person
        for sid in gone:
            self._people.pop(sid, None)
            self._loudness.pop(sid, None)

    def speak(self, loudness: dict[str, float], now: float) -> None:
        """Loudness of those whose speaking has changed, 0 of those who are silent now; by sid."""
        self._loudness |= loudness
        loudest = max(self._loudness, key=lambda sid: self._loudness[sid], default=None)
        if loudest is not None and self._loudness[loudest] <= 0:
            loudest = None
        if loudest != self._loudest:
            self._loudest, self._loudest_since = loudest, now

    def sounds(self) -> set[str]:
        """The audio tracks to be heard."""
        return {t.sid for person in self._people.values() for t in person.tracks if t.kind == "audio" and t.usable}

    @property
    def has_sound(self) -> bool:
        """Whether anybody publishes sound, be it muted."""
        return any(t.kind == "audio" for person in self._people.values() for t in person.tracks)

    @property
    def unusable(self) -> set[str]:
        """MIME types of video that cannot be taken."""
        tracks = (t for person in self._people.values() for t in person.tracks)
        return {codec for t in tracks if t.kind == "video" and not t.muted and not t.usable for codec in t.codecs}

    def picture(self, now: float) -> str | None:
        """The video track to be shown; None: there is none."""
        order = sorted(self._people.values(), key=lambda person: person.order)
        screens = [t.sid for p in order if (t := p.video(screen=True)) is not None]
        cameras = {p.sid: t.sid for p in order if (t := p.video(screen=False)) is not None}
        wanted: str | None
        if screens:
            wanted = self._shown if self._shown in screens else screens[0]
        elif self._shown in cameras.values():
            wanted = self._shown
            speaker = cameras.get(self._loudest or "")
            if speaker is not None and now - self._loudest_since >= SPOKEN_S and now - self._shown_since >= SHOWN_S:
                wanted = speaker
        else:
            wanted = cameras.get(self._loudest or "") or next(iter(cameras.values()), None)
        if wanted != self._shown:
            self._shown, self._shown_since = wanted, now
        return wanted
