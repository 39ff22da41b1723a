"""The Containerfile: what a reader would check, and (long) its steps carried out in a bare Debian."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.packaging.containerfile import parse_containerfile

ROOT = Path(__file__).parents[2]
STAGES = parse_containerfile((ROOT / "Containerfile").read_text("utf-8"))


def test_image_when_run_then_the_user_is_not_root() -> None:
    user = STAGES[-1].last("USER").text
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert not [s for s in STAGES[-1].steps[STAGES[-1].steps.index(STAGES[-1].last("USER")) :] if s.word == "RUN"]


def test_image_bases_have_an_exact_tag() -> None:
    for stage in STAGES:
        assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", stage.base)


def test_image_installs_only_what_the_lock_names() -> None:
    installs = [part for s in STAGES for r in s.all("RUN") for part in r.text.split("&&") if "pip install" in part]
    assert installs
    for line in installs:
        assert "--no-deps" in line
        assert "--require-hashes" in line or "--no-index" in line


def is_within(name: str, let: str) -> bool:
    """What the line lets through, a part of it, or the folder that it is in."""
    return Path(name).is_relative_to(let) or Path(name).match(let) or Path(let).is_relative_to(name)


def test_image_copies_only_what_the_ignore_file_lets_through() -> None:
    lets = {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")}
    copied = {w for s in STAGES for step in s.all("COPY") if "from" not in step.options for w in step.words[:-1]}
    within = {name: {let for let in lets if is_within(name, let)} for name in copied}
    assert all(within.values()), "copied, but kept out of the build by .containerignore"
    assert set.union(*within.values()) == lets
    for name in copied:
        assert (ROOT / name).exists()


def test_image_states_ports_volume_health_and_defaults() -> None:
    final = STAGES[-1]
    assert final.last("EXPOSE").words == ["3020", "1935", "7881", "7882/udp"]
    assert final.last("VOLUME").words == [final.env["STREAMHUB_DATA_DIR"]]
    assert final.env["STREAMHUB_HTTP_BIND"] == "0.0.0.0:3020"
    assert '["streamhub", "health"]' in final.last("HEALTHCHECK").text
    assert final.last("ENTRYPOINT").words + final.last("CMD").words == ["streamhub", "serve"]


@pytest.mark.parametrize("text", ["RUN true\nFROM x", "USER 1\n"])
def test_parser_when_an_instruction_precedes_from_then_it_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="before the first FROM"):
        parse_containerfile(text)


def test_parser_reads_options_continued_lines_and_lists() -> None:
    (stage,) = parse_containerfile(
        'FROM a:1 AS b\n# c\nCOPY --from=x --chown=1:2 /y \\\n    /z\nENV A=1 B="2 3"\nCMD ["p", "q"]'
    )
    assert (stage.base, stage.name) == ("a:1", "b")
    assert stage.last("COPY").options == {"from": "x", "chown": "1:2"}
    assert stage.last("COPY").words == ["/y", "/z"]
    assert stage.env == {"A": "1", "B": "2 3"}
    assert stage.last("CMD").words == ["p", "q"]
