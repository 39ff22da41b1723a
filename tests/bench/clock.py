"""A clock burnt into pictures: the wall clock's ms, modulo 2**24, as blocks along the upper edge, for pages to read.

Blocks of 20 × 40 pixels (of 640 × 360): 1, 0, 24 bits from the lowest on, parity. As a program it is a publisher: argv
is the kind (whip, rtmp, h264, camera), the address (of h264, a TCP port it serves at) and the key.
"""

from __future__ import annotations

import io
import socket
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from PIL import Image
from websockets.sync.client import connect

WIDTH, HEIGHT, BLOCK, TALL = 640, 360, 20, 40
BITS, FPS, CAMERA_FPS = 24, 30, 15

# readClock(element, width, height): the time in what is shown, ms modulo 2 ** 24, or null; ageAt(due): its age, ms.
READ = """
    const strip = Object.assign(document.createElement('canvas'), {width: 27, height: 1});
    const pen = strip.getContext('2d', {alpha: false, willReadFrequently: true});
    const readClock = (element, width, height) => {
        const bits = Array.from({length: 27}, (_, n) => {
            pen.drawImage(element, (n * 20 + 8) * width / 640, 12 * height / 360, 4, 16, 0, 0, 1, 1);
            return pen.getImageData(0, 0, 1, 1).data[0] > 127 ? 1 : 0;
        });
        const parity = bits.slice(0, 26).reduce((sum, bit) => sum ^ bit, 0);
        if (bits[0] !== 1 || bits[1] !== 0 || bits[26] !== parity) return null;
        return bits.slice(2, 26).reduce((sum, bit, n) => sum + bit * 2 ** n, 0);
    };
    const ageAt = (coded, due) => ((performance.timeOrigin + due) % 2 ** 24 - coded + 2 ** 24) % 2 ** 24;
"""
# The ages of all frames that a video shows in some seconds, in ms.
MEASURE = f"""
(seconds) => new Promise((resolve) => {{
    {READ}
    const video = [...document.querySelectorAll('video')].find((one) => one.videoWidth); // not one that waits
    const ages = [], end = performance.now() + seconds * 1000;
    const read = (now, {{expectedDisplayTime, width, height}}) => {{
        const coded = readClock(video, width, height);
        if (coded !== null) ages.push(ageAt(coded, expectedDisplayTime));
        if (now < end) video.requestVideoFrameCallback(read);
        else resolve(ages);
    }};
    video.requestVideoFrameCallback(read);
    setTimeout(() => resolve(ages), seconds * 1000 + 2000);
}})
"""
# The same of the largest canvas; a picture is on the screen with the frame after the one it was seen in.
MEASURE_CANVAS = f"""
(seconds) => new Promise((resolve) => {{
    {READ}
    const ages = [], end = performance.now() + seconds * 1000;
    let last = null;
    const read = (now) => {{
        const [canvas] = [...document.querySelectorAll('canvas')].sort((a, b) => b.width - a.width);
        const coded = canvas && canvas.width >= 27 ? readClock(canvas, canvas.width, canvas.height) : null;
        if (coded !== null && coded !== last) ages.push(ageAt(coded, now + 1000 / 60));
        last = coded ?? last;
        if (now < end) requestAnimationFrame(read);
        else resolve(ages);
    }};
    requestAnimationFrame(read);
}})
"""


def luma(ms: int) -> bytes:
    """The picture of that time, in grey."""
    bits = [1, 0, *(ms >> n & 1 for n in range(BITS))]
    bits.append(sum(bits) % 2)
    row = b"".join((b"\xeb" if bit else b"\x10") * BLOCK for bit in bits)
    row += b"\x40" * (WIDTH - len(row))
    below = bytes((64 + ms // 20 % 128,)) * WIDTH
    return row * TALL + below * (HEIGHT - TALL)


def now_ms() -> int:
    return round(time.time() * 1000) % 2**BITS


def ticks(fps: int) -> Iterator[int]:
    """The number of each picture when it is due, for ever."""
    began, n = time.monotonic(), 0
    while True:
        time.sleep(max(0.0, began + n / fps - time.monotonic()))
        yield n
        n += 1


def encode(out: Any) -> None:
    """H.264 without delay, a key frame a second, into that container."""
    options = {"tune": "zerolatency", "preset": "ultrafast", "profile": "baseline"}
    video = out.add_stream("libx264", rate=FPS, options=options)
    video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 1_000_000
    video.codec_context.gop_size, video.codec_context.time_base = FPS, Fraction(1, FPS)
    video.codec_context.thread_count = 1  # slices in several threads cost more than so small a picture
    for n in ticks(FPS):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        frame.planes[0].update(luma(now_ms()))
        for plane in frame.planes[1:]:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts, frame.time_base = n, Fraction(1, FPS)
        out.mux(video.encode(frame))


def serve_h264(port: int) -> None:
    """Annex B to whoever connects, one after the other."""
    with socket.create_server(("127.0.0.1", port)) as door:
        while True:
            caller, _ = door.accept()
            with caller, caller.makefile("wb", buffering=0) as pipe:
                try:
                    encode(av.open(pipe, "w", format="h264", options={"flush_packets": "1"}))
                except (OSError, av.error.FFmpegError):
                    continue


def camera(url: str) -> None:
    """JPEGs into a WebSocket."""
    with connect(url) as socket:
        for _ in ticks(CAMERA_FPS):
            out = io.BytesIO()
            Image.frombytes("L", (WIDTH, HEIGHT), luma(now_ms())).convert("RGB").save(out, "JPEG", quality=85)
            socket.send(out.getvalue())


def main() -> None:
    kind, url, key = sys.argv[1:]
    if kind == "camera":
        camera(url)
    elif kind == "h264":
        serve_h264(int(url))
    elif kind == "whip":
        encode(av.open(url, "w", format="whip", options={"authorization": key, "handshake_timeout": "20000"}))
    else:
        encode(av.open(url, "w", format="flv", options={"flush_packets": "1"}))


if __name__ == "__main__":
    main()
