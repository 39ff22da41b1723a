"""Colours on their way from a JPEG to H.264 and back: neither paler nor stronger, whatever range each of them uses."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from streamhub.relay.encoder import VideoEncoder, decoder_of, packet_for
from streamhub.relay.jpeg import JpegSink
from streamhub.relay.plan import EncodeSettings
from streamhub.relay.units import Unit
from streamhub.wire.relay_control import AttachJpeg, Picture

COLOURS = {(80, 60): (200, 30, 60), (240, 60): (255, 255, 255), (80, 180): (20, 180, 90), (240, 180): (0, 0, 0)}
NEAR = 8


def jpeg(subsampling: int) -> bytes:
    image, out = Image.new("RGB", (320, 240)), io.BytesIO()
    for (x, y), colour in COLOURS.items():
        image.paste(colour, (x - 80, y - 60, x + 80, y + 60))
    image.save(out, "JPEG", quality=90, subsampling=subsampling)
    return out.getvalue()


def assert_same(image: Image.Image) -> None:
    for at, colour in COLOURS.items():
        assert image.convert("RGB").getpixel(at) == pytest.approx(colour, abs=NEAR)


@pytest.mark.parametrize("subsampling", [0, 1, 2], ids=["4:4:4", "4:2:2", "4:2:0"])
def test_jpeg_when_encoded_then_its_colours_stay_and_they_do_when_it_is_drawn_again(subsampling: int) -> None:
    unit = Unit("video", "mjpeg", jpeg(subsampling), 0, 0, 0, True, 0, 0.0)
    encoder, h264 = VideoEncoder(EncodeSettings(0, 2_500_000), 15, 1), decoder_of("h264", 1)
    (frame,) = decoder_of("mjpeg", 1).decode(packet_for(unit))
    (made,) = encoder.encode(frame, 0, 0, 0.0)
    (shown,) = [*h264.decode(packet_for(made)), *h264.decode(None)]
    luma, width = bytes(shown.planes[0]), shown.planes[0].line_size
    assert (luma[180 * width + 240], luma[60 * width + 240]) == (16, 235), "as every player expects black and white"
    assert_same(shown.to_image())
    drawn: list[Picture] = []
    JpegSink(AttachJpeg(id="j", quality=2), drawn.append).draw(shown, 0)
    assert_same(Image.open(io.BytesIO(drawn[0].jpeg)))
