"""The scripts' pure parts, called in the browser."""

import pytest


@pytest.fixture
def run(open_page, hub):
    page = open_page("/")

    def run(module: str, body: str, argument: object = None) -> object:
        return page.evaluate(f"async (given) => {{ const m = await import('/static/{module}'); {body} }}", argument)

    return run


def test_backoff_doubles_to_a_cap_with_jitter_below(run):
    body = "const b = m.createBackoff(() => given); return Array.from({length: 7}, () => b.next());"
    assert run("pace.js", body, 1) == [500, 1000, 2000, 4000, 8000, 10000, 10000]
    assert run("pace.js", body, 0) == [250, 500, 1000, 2000, 4000, 5000, 5000]


def test_backoff_after_reset_starts_again(run):
    assert run("pace.js", "const b = m.createBackoff(() => 1); b.next(); b.next(); b.reset(); return b.next();") == 500


def test_patience_is_five_seconds_or_five_intervals(run):
    body = "const r = m.createRhythm(); for (let t = 0; t <= 9 * given; t += given) r.frame(t + 1); return r.limit();"
    assert run("pace.js", body, 100) == 5000
    assert run("pace.js", body, 2000) == pytest.approx(10000)


def test_patience_grows_for_a_camera_that_shows_one_picture_a_connection(run):
    body = """const r = m.createRhythm(); const out = [];
    for (let i = 0; i < 5; i += 1) { r.resumed(); r.frame(i * 7000 + 1); out.push(r.limit()); r.disappointed(); }
    r.resumed(); r.frame(50000); r.frame(50100); out.push(r.limit());
    return out;"""
    assert run("pace.js", body) == [5000, 10000, 20000, 40000, 60000, 5000]


def test_an_outage_is_no_rhythm(run):
    body = """const r = m.createRhythm();
    r.resumed(); r.frame(1000); r.frame(1100); r.resumed(); r.frame(900000); r.frame(900100); return r.limit();"""
    assert run("pace.js", body) == 5000


def test_fps_is_over_the_last_seconds(run):
    body = """const f = m.createFps(); for (let t = 0; t < 10000; t += 100) f.frame(t);
    return [f.read(9900), f.read(20000)];"""
    assert run("pace.js", body) == [pytest.approx(10), 0]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_mjpeg_parts_come_out_whole_however_the_bytes_are_cut(run, size):
    parts = [b"\xff\xd8" + b"--frame\r\n\r\n" * n + bytes([n]) for n in (1, 9, 40, 2)]
    stream = b"--frame\r\n"
    for part in parts:
        stream += b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(part) + part + b"\r\n--frame\r\n"
    body = """const reader = m.createPartReader(); const bytes = Uint8Array.from(given.bytes); const out = [];
    for (let at = 0; at < bytes.length; at += given.size)
      for (const part of reader.push(bytes.slice(at, at + given.size))) out.push(Array.from(part));
    return out;"""
    assert run("mjpeg.js", body, {"bytes": list(stream), "size": size}) == [list(part) for part in parts]


@pytest.mark.parametrize("stream", [b"x" * 5000, b"Content-Type: image/jpeg\r\n\r\nabc"])
def test_mjpeg_reader_when_it_is_no_mjpeg_then_error(run, stream):
    body = "try { m.createPartReader().push(Uint8Array.from(given)); return 'fine'; } catch (e) { return 'error'; }"
    assert run("mjpeg.js", body, list(stream)) == "error"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-30, "just now"),
        (2, "just now"),
        (42, "42 seconds ago"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (180000, "2 days ago"),
    ],
)
def test_ago_is_said_in_one_unit(run, seconds, text):
    assert run("words.js", "return m.ago(new Date(0), new Date(given * 1000));", seconds) == text


def test_clock_time_of_another_day_has_its_date(run):
    body = "return m.clockTime(new Date(2026, 10, 20, 9, 5), new Date(2026, 10, 23, 9, 0));"
    assert run("words.js", body) == "20 Nov, 09:05"


def test_file_stamp_sorts(run):
    assert run("words.js", "return m.fileStamp(new Date(2026, 0, 2, 3, 4, 5));") == "20260102-030405"
