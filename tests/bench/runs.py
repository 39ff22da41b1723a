"""One measured run of the load generator against a contender, several of them in turn, and what is read off them."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from tests.bench.contenders import Contender
from tests.bench.native import find, load

Row: TypeAlias = dict[str, Any]
GENERATOR_LIMIT = 0.9  # of its core
JUDGED_ROUNDS = 5
NOISY = 0.15  # two rounds of the C limit that are further apart say that the machine did other work
MISSED_MOST, P99_MOST_MS = 0.01, 250.0
FIGURES = (
    "us_per_frame", "missed", "p50_ms", "p99_ms", "server_cpu", "generator_cpu", "rss_mb", "join_s", "cameras_s",
    "slow_age_ms", "slow_age_most_ms",
)  # fmt: skip


@attrs.define
class Bench:
    """What every case needs: how long to measure, how often, how large at most, until when."""

    folder: Path
    seconds: float = 5.0
    rounds: int = 3
    scale: float = 1.0  # --quick: a part of the viewers and cameras
    until: float = float("inf")
    rows: list[Row] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    targets: list[Row] = attrs.field(factory=list)
    noisy: bool = False  # the case that runs: the generator was the limit, or the rounds of a C limit are apart

    def run(self, case: Callable[[Bench], None], again_until: float = float("-inf")) -> None:
        """Run a case; once more, and only that counts, if it was too noisy and it is not later than ``again_until``."""
        before = [list(kept) for kept in (self.rows, self.notes, self.targets)]
        self.noisy = False
        case(self)
        if self.noisy and time.monotonic() < min(again_until, self.until):
            self.rows, self.notes, self.targets = before
            self.note(f"{getattr(case, '__name__', 'a case')} was too noisy and was run again")
            case(self)

    def say(self, words: str) -> None:
        """Progress, for whoever waits."""
        print(words, file=sys.stderr, flush=True)

    def note(self, words: str) -> None:
        """Something a reader of the figures must know."""
        self.notes.append(words)
        self.say(f"  note: {words}")

    def sized(self, count: int) -> int:
        """A number of viewers or cameras, scaled."""
        return max(2, round(count * self.scale)) if count > 1 else count

    def out_of_time(self) -> bool:
        """Whether the budget is used up."""
        return time.monotonic() > self.until

    def missing(self, program: str, package: str) -> bool:
        """Whether a peer cannot run here; noted once."""
        if find(program):
            return False
        words = f"{program} is not installed here ({package}): its rows are missing"
        if words not in self.notes:
            self.note(words)
        return True

    def once(self, case: str, contender: Contender, *options: object, seconds: float | None = None) -> Row:
        """One run; raises AssertionError if a picture was wrong, for figures of wrong pictures mean nothing."""
        found = load(contender.port, *contender.options, "-d", seconds or self.seconds, *options)
        wrong = found["bad"] + found["repeated"]
        assert not wrong, f"{contender.name} sent wrong pictures: {found}"
        found["missed"] = 1 - found["got"] / found["expected"] if found["expected"] else 0.0
        if found["generator_cpu"] > GENERATOR_LIMIT:
            self.noisy = True
            self.note(
                f"{case}, {contender.name}: the generator was the limit ({found['generator_cpu']:.0%} of its core)"
            )
        lost = found["dead_viewers"] + found["dead_cameras"]
        self.say(
            f"  {case}: {contender.name}: {found['us_per_frame']:.1f} µs a frame, {found['missed']:.1%} missed, "
            f"p99 {found['p99_ms']:.0f} ms, server {found['server_cpu']:.0%}, generator {found['generator_cpu']:.0%}"
            + (f", {lost} lost: {found['said']}" if lost else "")
        )
        return found

    def in_turn(
        self, case: str, contenders: Sequence[Contender], *options: object, judged: bool = False
    ) -> dict[str, Row]:
        """Several rounds, the contenders in turn; their medians are kept as rows of the case.

        ``judged``: ours will be compared with the C limit, so there are more rounds and noise counts.
        """
        found: dict[str, list[Row]] = {c.name: [] for c in contenders}
        for n in range(max(self.rounds, JUDGED_ROUNDS) if judged and self.scale == 1 else self.rounds):
            for contender in contenders if n % 2 == 0 else reversed(contenders):
                found[contender.name].append(self.once(case, contender, *options))
        return {name: self.keep(case, name, rounds, judged=judged) for name, rounds in found.items()}

    def keep(self, case: str, name: str, rounds: Sequence[Mapping[str, Any]], *, judged: bool = False) -> Row:
        """The medians of some rounds as a row."""
        row: Row = {"case": case, "server": name, "viewers": rounds[0]["viewers"], "cameras": rounds[0]["cameras"]}
        row |= {key: statistics.median(r[key] for r in rounds) for key in FIGURES}
        row["skipped"] = sum(r["skipped"] for r in rounds)
        row["rounds"] = [dict(r) for r in rounds]
        self.rows.append(row)
        spread = apart([r["us_per_frame"] for r in rounds])
        if name.startswith("C limit") and spread > NOISY:
            self.noisy |= judged
            self.note(
                f"{case}: too noisy, the rounds of {name} are {spread:.0%} apart; let the machine rest, run it again"
            )
        return row

    def ratio(self, what: str, us: Row, peer: Row, figure: str, most: float) -> None:
        """The median of the rounds' ratios: what disturbs the machine for a while meets both of a round."""
        pairs = zip(us["rounds"], peer["rounds"], strict=True)
        value = statistics.median(a[figure] / b[figure] if b[figure] else 0.0 for a, b in pairs)
        self.target(what, value, f"≤ {most:g}", value <= most)

    def target(self, what: str, value: float, wanted: str, met: bool, detail: str = "") -> None:
        """Compare a figure with what the project wants; not one of a run that was scaled down."""
        if self.scale != 1:
            wanted, detail = "", f"not judged: scaled down; {detail}"
        self.targets.append({"what": what, "value": value, "wanted": wanted, "met": met, "detail": detail})
        verdict = "" if not wanted else "reached: " if met else "MISSED: "
        self.say(f"  {verdict}{what}: {value:.2f} (wanted {wanted or '-'}) {detail}")


def apart(values: Sequence[float]) -> float:
    """How far the smallest and the largest are from each other, as a part of the median."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def carries(run: Mapping[str, Any]) -> bool:
    """Whether the server served all these viewers well."""
    lost = run["dead_viewers"] or run["dead_cameras"] or run["late"]
    return not lost and run["missed"] < MISSED_MOST and run["p99_ms"] <= P99_MOST_MS
