"""Reads a Containerfile as far as ours goes: stages of instructions, continued lines, variables of ENV."""

from __future__ import annotations

import json
import re
import shlex

import attrs


@attrs.frozen
class Step:
    """One instruction: its word, its options (``from`` of ``--from=build``) and the rest."""

    word: str
    options: dict[str, str]
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments: a JSON list, or words as a shell splits them."""
        return list(json.loads(self.text)) if self.text.startswith("[") else shlex.split(self.text)


@attrs.frozen
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    steps: list[Step]

    def all(self, word: str) -> list[Step]:
        return [s for s in self.steps if s.word == word]

    def last(self, word: str) -> Step:
        return self.all(word)[-1]

    @property
    def env(self) -> dict[str, str]:
        """What ENV lines set, later ones over earlier ones."""
        return dict(pair.split("=", 1) for step in self.all("ENV") for pair in step.words)


def parse_containerfile(text: str) -> list[Stage]:
    """The stages in order. Raises ValueError at an instruction before the first FROM."""
    plain = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", plain).splitlines():
        word, _, rest = line.partition(" ")
        options = {}
        while match := re.match(r"\s*--([a-z-]+)=(\S+)\s+", rest):
            options[match[1]] = match[2]
            rest = rest[match.end() :]
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name, []))
        elif not stages:
            raise ValueError(f"{word} before the first FROM")
        else:
            stages[-1].steps.append(Step(word, options, rest.strip()))
    return stages
