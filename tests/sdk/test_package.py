"""The npm package, as somebody gets it: packed, installed in an empty folder, imported both ways, type-checked."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SDK = ROOT / "sdk"
CONSUMER = """
import Adaptor, { play, publish, WebRTCAdaptor, StreamHubError } from 'streamhub-adaptor'
import type { AntMediaCallback, AntMediaErrorCallback, StreamHubAdaptorConfig, Player } from 'streamhub-adaptor'
import type { StreamHubMediaConstraints, StreamHubTokenResponse } from 'streamhub-adaptor'

const constraints: StreamHubMediaConstraints = { video: { width: 640 }, audio: true }
const callback: AntMediaCallback = (info, obj) => console.log(info.length, obj)
const callbackError: AntMediaErrorCallback = (error, message) => console.log(error, message)
const config: StreamHubAdaptorConfig = { websocket_url: 'wss://h/live/websocket', mediaConstraints: constraints, callback, callbackError }
const adaptor: WebRTCAdaptor = new Adaptor(config)
export const answer: StreamHubTokenResponse = { token: 't', wsUrl: 'wss://h' }
export const player: Player = play(document.body, { app: 'live', room: 'demo' })
player.on('state', state => {
  const known: 'connecting' | 'playing' | 'offline' | 'refused' | 'stopped' = state
  console.log(known)
})
player.on('problem', error => console.log(error instanceof StreamHubError, error.hint.length))
export async function go(): Promise<string> {
  await adaptor.publish('stream1')
  const publisher = await publish({ getToken: async () => answer, video: false })
  publisher.on('track', ({ identity, stream }) => console.log(identity, stream.id))
  return publisher.identity
}
// @ts-expect-error: no such event
player.on('nonsense', () => {})
// @ts-expect-error: a room is needed
play(document.body, { app: 'live' })
"""


def run_node(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = [ROOT / "scripts" / "sdk", "exec", *command]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False, timeout=200)


def node(*command: str | Path, cwd: Path) -> str:
    """What a command of Node's prints."""
    done = run_node(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pack")
    node("npm", "pack", "--silent", "--pack-destination", out, cwd=SDK)
    (path,) = out.iterdir()
    return path


@pytest.fixture(scope="module")
def consumer(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has installed it, without network: its peer is the one we build with."""
    folder = tmp_path_factory.mktemp("consumer")
    (folder / "package.json").write_text('{"name": "consumer", "private": true, "type": "module"}')
    node("npm", "install", "--offline", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", tarball, cwd=folder)
    (folder / "node_modules" / "livekit-client").symlink_to(SDK / "node_modules" / "livekit-client")
    return folder


def test_package_holds_what_it_names_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        member = archive.extractfile("package/package.json")
        assert member
        about = json.load(member)
        licence = archive.extractfile("package/LICENSE")
        assert licence
        assert licence.read() == (ROOT / "LICENSE").read_bytes()
    assert {name for name in names if not name.startswith("dist/")} == {
        *("package.json", "README.md", "LICENSE", "CHANGELOG.md")
    }
    targets = json.dumps([about["exports"], about["main"], about["module"], about["types"], about["unpkg"]])
    for name in {word.removeprefix("./") for word in targets.split('"') if word.startswith("./dist/")}:
        assert name in names, name
    assert "dist/LICENSES.txt" in names
    assert not [name for name in names if "test" in name]
    assert about["license"] == "Apache-2.0"
    assert "dependencies" not in about
    assert list(about["peerDependencies"]) == ["livekit-client"]


def test_package_when_imported_as_module_and_by_require_then_it_is_the_same(consumer: Path) -> None:
    show = "console.log(Object.keys(m).sort().join(), m.default === m.WebRTCAdaptor, m.default === m.StreamHubAdaptor)"
    by_import = node("node", "--input-type=module", "--eval", f"import * as m from 'streamhub-adaptor'; {show}", cwd=consumer)
    by_require = node("node", "--input-type=commonjs", "--eval", f"const m = require('streamhub-adaptor'); {show}", cwd=consumer)
    assert by_import == by_require
    assert by_import.split()[1:] == ["true", "true"]
    assert {"play", "publish", "listDevices", "StreamHubError", "default"} < set(by_import.split()[0].split(","))


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
def test_package_when_a_typescript_project_uses_it_then_its_types_hold(consumer: Path, resolution: str) -> None:
    for name in ("use.ts", "use.cts") if resolution == "nodenext" else ("use.ts",):
        (consumer / name).write_text(CONSUMER)
        module = "nodenext" if resolution == "nodenext" else "esnext"
        options = ["--noEmit", "--strict", "--module", module, "--moduleResolution", resolution, "--target", "es2022"]
        options += ["--pretty", "false", "--lib", "es2022,dom", "--types", ""]
        tsc = SDK / "node_modules" / "typescript" / "bin" / "tsc"
        # Declarations are checked too; those of livekit-client 2.23 name packages that it does not bring along.
        complaints = [
            line
            for line in run_node("node", tsc, *options, name, cwd=consumer).stdout.splitlines()
            if not line.startswith(" ") and "/livekit-client/" not in line.partition(":")[0]
        ]
        assert complaints == []
        node("node", tsc, *options, "--skipLibCheck", name, cwd=consumer)
