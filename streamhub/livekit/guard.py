"""A small process that runs one foreign program and never leaves it behind.

Run as a file: ``python -I -S guard.py GRACE_S -- PROGRAM ARGUMENT…``; the standard library only. Its standard input
is the control pipe: as long as it is open the program runs. When it ends, on purpose or because whoever held it was
killed, the program gets SIGTERM, halfway a second one (livekit-server then waits for nobody any more), and SIGKILL
after the grace. If the guard itself is killed, the kernel kills the program (PR_SET_PDEATHSIG: safe here, where one
thread starts the program and stays).

Exit code: the program's, or 128 and its signal's number.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1


def guard(program: list[str], grace_s: float) -> int:
    """Run the program; return how it ended."""
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)

    def die_with_guard() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the guard died before the line above
            os._exit(1)

    # The wake-up descriptor makes poll() return for the end of the child and for a SIGTERM to us.
    wake_read, wake_write = os.pipe()
    for fd in (wake_read, wake_write):
        os.set_blocking(fd, False)
    told_to_stop: list[int] = []
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.append(1))

    child = subprocess.Popen(program, stdin=subprocess.DEVNULL, preexec_fn=die_with_guard)
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    poll.register(wake_read, select.POLLIN)
    while child.poll() is None:
        for fd, _ in poll.poll():
            if fd == wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_read, 4096)
            elif not os.read(0, 4096):
                told_to_stop.append(1)
        if told_to_stop:
            stop(child, grace_s)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def stop(child: subprocess.Popen[bytes], grace_s: float) -> None:
    """End the child, politely if it takes no longer than the grace."""
    for part in (0.5, 0.5):
        child.terminate()
        until = time.monotonic() + grace_s * part
        while time.monotonic() < until:
            if child.poll() is not None:
                return
            time.sleep(0.01)
    child.kill()
    child.wait()


if __name__ == "__main__":
    sys.exit(guard(sys.argv[3:], float(sys.argv[1])))
