"""Viewers that wait for a picture, and how many each has got, without touching each for each picture.

A statement of Python for each viewer and picture costs as much as a tenth of sending it, an object that has left the
processor's cache as much again. So those that have all got the same picture are one crowd: what its members got is
counted once, and a member's own figures are made up when somebody asks, or when it leaves.
"""

from __future__ import annotations

import itertools
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator

import attrs

# Fewer are not worth a crowd.
CROWD_FROM = 16
_ALL = sys.maxsize


@attrs.define(eq=False)
class Outlet(ABC):
    """A viewer as the pump sees it: a socket that is between two pictures while it is in the ready set."""

    fd: int = attrs.field(init=False, default=-1)
    # Whether it wants one picture at a time.
    paced: bool = attrs.field(init=False, default=False)
    # What is still to be sent of the picture it is inside of.
    rest: memoryview | None = attrs.field(init=False, default=None)
    # ``seq`` and ``sent`` but for what it got as a member of the crowd, which counts by the three behind them.
    own_seq: int = attrs.field(init=False, default=0)
    own_sent: int = attrs.field(init=False, default=0)
    crowd: Ready | None = attrs.field(init=False, default=None)
    since: int = attrs.field(init=False, default=0)
    place: int = attrs.field(init=False, default=0)

    @property
    def seq(self) -> int:
        """The number (of ``Latest``) of the picture it got last, or is inside of."""
        return self.own_seq if self.crowd is None else self.crowd.seq_of(self)

    @seq.setter
    def seq(self, seq: int) -> None:
        self.own_seq = seq

    @property
    def sent(self) -> int:
        """How many pictures it has got whole."""
        return self.own_sent if self.crowd is None else self.own_sent + self.crowd.sent_to(self)

    @sent.setter
    def sent(self, sent: int) -> None:
        self.own_sent = sent

    @abstractmethod
    def wake(self, *, began: bool) -> None:
        """End the viewer's waiting, after it has left the ready set; ``began``: with (a part of) the picture sent."""


@attrs.define(eq=False)
class Ready:
    """The outlets that are between two pictures: ``singles``, and the ``crowd``, whose members all got picture ``seq``.

    A round sends the next picture: ``begin``, ``reach`` for each part of the crowd, the singles, ``end``. Whoever is
    paced stays single. ``turn`` is another number after each ``begin``: a round that finds it changed is over.
    """

    count: int = 0  # kept, for it is asked of each output of each room with every picture
    singles: dict[Outlet, None] = attrs.field(factory=dict)
    crowd: dict[int, Outlet] = attrs.field(factory=dict)  # by descriptor, in the order of their places
    seq: int = 0
    turn: int = 0
    _fds: list[int] | None = None  # the same, as long as nobody comes or goes
    _before: int = 0  # what those have who are not reached yet
    _rounds: int = 0
    _reached: int = _ALL  # the last place that this round has reached
    _places: Iterator[int] = attrs.field(factory=itertools.count)

    def __len__(self) -> int:
        return self.count

    def __contains__(self, outlet: Outlet) -> bool:
        return outlet.crowd is self or outlet in self.singles

    def __iter__(self) -> Iterator[Outlet]:
        return itertools.chain(self.crowd.values(), self.singles)

    def add(self, outlet: Outlet) -> None:
        """It has the newest picture there is, and waits for the next."""
        self.singles[outlet] = None
        self.count += 1

    def discard(self, outlet: Outlet) -> None:
        """It does not wait any more; nothing is written to its socket from now on."""
        if outlet.crowd is not None:
            self._leave(outlet)
        elif outlet in self.singles:
            del self.singles[outlet]
            self.count -= 1

    def begin(self, seq: int) -> list[int]:
        """Begin to send the picture ``seq``: to these descriptors, and to the singles that do not have it."""
        self.turn += 1
        if self._reached != _ALL:  # the last round was left: who was not reached is single again
            for outlet in [o for o in self.crowd.values() if o.place > self._reached]:
                self._leave(outlet)
                self.add(outlet)
            self._reached = _ALL
        if seq == self.seq or not self.crowd:
            self.seq = seq
            return []
        self._before, self.seq = self.seq, seq
        self._rounds += 1
        if self._fds is None:
            self._fds = list(self.crowd)
        return self._fds

    def reach(self, fds: list[int]) -> list[int]:
        """Count a part of what ``begin`` gave as sent to; which of them are still here."""
        crowd = self.crowd
        if self._fds is None:  # somebody left
            fds = [fd for fd in fds if fd in crowd]
        if fds:
            self._reached = crowd[fds[-1]].place
        return fds

    def missed(self, fd: int) -> Outlet:
        """Somebody who was reached, but did not get the picture: it leaves."""
        outlet = self.crowd[fd]
        outlet.place = _ALL + 1  # as one that was not reached
        self._leave(outlet)
        return outlet

    def end(self) -> None:
        """All were reached; the singles who got this picture too are of the crowd from now on."""
        self._reached = _ALL
        if self.count < CROWD_FROM:
            return
        for outlet in [o for o in self.singles if o.own_seq == self.seq and not o.paced]:
            del self.singles[outlet]
            outlet.crowd, outlet.since, outlet.place = self, self._rounds, next(self._places)
            self.crowd[outlet.fd] = outlet
            self._fds = None

    def seq_of(self, member: Outlet) -> int:
        """Of a member of the crowd: which picture it has."""
        return self._before if member.place > self._reached else self.seq

    def sent_to(self, member: Outlet) -> int:
        """Of a member of the crowd: how many pictures it got since it came."""
        return self._rounds - member.since - (member.place > self._reached)

    def _leave(self, member: Outlet) -> None:
        member.seq, member.sent = member.seq, member.sent
        member.crowd = None
        del self.crowd[member.fd]
        self.count -= 1
        self._fds = None
