"""The SDK's own tests, which are TypeScript: types, then Node's test runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_types_and_unit_tests_of_the_sdk() -> None:
    command = [ROOT / "scripts" / "sdk", "exec", "npm", "--prefix", ROOT / "sdk", "test"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# fail 0\n" in done.stdout, done.stdout
