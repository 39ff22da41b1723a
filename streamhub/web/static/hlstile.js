// The tile that shows a room by HLS: the fallback where WebRTC gives no media.

import { playHls } from './hls.js';
import { createBackoff } from './pace.js';

const TICK_MS = 500;
// Nothing new on the screen for so long: it does not play.
const SILENCE_MS = 6000;
// Nor will it ever, this way.
const STUCK_MS = 20000;
// A source that is live is given so long to come to LiveKit.
const LONELY_MS = 4000;
const LIBRARY = new URL('./sdk/hls.js', import.meta.url).href;

// `name`: what the video is called aloud. `changed()`: ask `playing` again.
export function createHlsTile(url, box, sound, { name, changed }) {
  const backoff = createBackoff();
  const element = document.createElement('figure');
  const video = document.createElement('video');
  let wanted = false;
  let playing = false;
  let end = null; // of the present attempt
  let timer = 0;
  let ticking = 0;
  let at = 0; // on the video's clock, and when it was there
  let movedAt = 0;

  element.className = 'tile';
  element.dataset.kind = 'hls';
  element.hidden = true;
  video.playsInline = true;
  video.muted = true;
  video.autoplay = true;
  video.setAttribute('aria-label', `Video of ${name}`);
  video.addEventListener('loadeddata', () => {
    element.dataset.seen = '';
  });
  element.append(video);
  box.append(element);

  function begin() {
    movedAt = performance.now();
    at = 0;
    end = playHls(video, url, { library: LIBRARY, failed: again });
    sound.add(video);
  }

  function again() {
    drop();
    timer = setTimeout(begin, backoff.next());
    become(false);
  }

  function drop() {
    clearTimeout(timer);
    if (!end) return;
    sound.remove(video);
    end();
    end = null;
    delete element.dataset.seen;
  }

  function become(yes) {
    if (yes === playing) return;
    playing = yes;
    element.hidden = !yes;
    if (yes) backoff.reset();
    changed();
  }

  // A video element also shows an old picture: only a clock that goes on tells that it plays.
  function look() {
    const now = performance.now();
    if (video.currentTime !== at && !video.seeking) {
      at = video.currentTime;
      if (end && video.readyState >= 2) movedAt = now;
    }
    if (document.visibilityState === 'hidden') movedAt = Math.max(movedAt, now - SILENCE_MS / 2);
    if (end && now - movedAt > STUCK_MS) again();
    else become(Boolean(end) && at > 0 && now - movedAt < SILENCE_MS);
  }

  return {
    tile: { element, source: video },
    get playing() {
      return playing;
    },
    want(yes) {
      if (yes === wanted) return;
      wanted = yes;
      if (yes) {
        begin();
        ticking = setInterval(look, TICK_MS);
        return;
      }
      clearInterval(ticking);
      backoff.reset();
      drop();
      become(false);
    },
  };
}

// Whether HLS is needed, from what `wordsFor` (verdict.js) is given: something is live that does not arrive by WebRTC, or
// has not come to LiveKit. `look()` is called when the answer may change by itself.
export function createHlsNeed(look) {
  let since = 0; // live, but not in LiveKit; 0: it is not so

  function lonely({ told }) {
    const now = performance.now();
    if (told.state !== 'live' || told.publishers) since = 0;
    else if (!since) {
      since = now;
      setTimeout(look, LONELY_MS);
    }
    return since > 0 && now - since >= LONELY_MS;
  }

  return (given) => {
    const { told, socket, camera, seen, participant } = given;
    if (socket !== 'up' || !told.hls || camera || seen.playing || participant !== null) return false;
    return seen.failed || lonely(given);
  };
}
