// The player of both pages: the viewer socket tells what there is; a camera's pictures come over it onto the canvas,
// publishers in LiveKit come by WebRTC into tiles beside it.

import { hlsUrl, mjpegUrl, posterUrl, readConfig, socketUrl } from './config.js';
import { createHlsNeed, createHlsTile } from './hlstile.js';
import { createLastPicture } from './lastpicture.js';
import { createLink } from './link.js';
import { readMjpeg } from './mjpeg.js';
import { createFps } from './pace.js';
import { createPainter } from './painter.js';
import { watchPage } from './presence.js';
import { keepDivided } from './rtc/grid.js';
import { createSound } from './rtc/sound.js';
import { markQuiet } from './rtc/tiles.js';
import { createViewing } from './rtc/viewing.js';
import { takeSnapshot } from './snapshot.js';
import { createStatus } from './status.js';
import { wordsFor } from './verdict.js';
import { STATES, refusalState } from './words.js';

const PICTURED = new Set(['live', 'stale']);

export function startPlayer() {
  const root = document.getElementById('player');
  const box = document.getElementById('tiles');
  const cameraTile = document.getElementById('camera-tile');
  const config = readConfig(root, location);
  const fps = createFps();
  const status = createStatus(root, again);
  const listeners = new Set(); // of sound, tiles, what can be saved
  let told = null; // the server's last word on this connection
  let shown = null; // the frame on the canvas
  let fresh = false; // and it came since the camera was last quiet
  let playedAt = 0; // when somebody was last seen by WebRTC
  let endFallback = null;
  let fellBack = false; // and pictures come by it
  let refusal = null;
  let socket = 'opening'; // then up, or down
  let cameraThere = false; // as far as was told
  let asleep = true;

  const arrange = keepDivided(box);
  const sound = createSound({ muted: config.muted, changed: notify });
  const viewing = createViewing(config, box, sound, {
    changed: tell,
  });

  const hls = createHlsTile(hlsUrl(config), box, sound, { name: config.name, changed: tell });
  const needsHls = createHlsNeed(tell);
  // The room's may be somebody else's than the one participant's to be shown.
  const last = createLastPicture(config.participant === null ? posterUrl(config, { overlay: false }) : null);

  const painter = createPainter(document.getElementById('picture'), (frame) => {
    const first = !fresh;
    shown = frame;
    fresh = true;
    status.pictured();
    if (first) tell();
  });

  const link = createLink(socketUrl(config), {
    open: () => stopFallback(),
    state(word) {
      socket = 'up';
      refusal = null;
      told = word;
      cameraThere = Boolean(camera());
      if (!camera() || camera().state !== 'live') quiet();
      viewing.want(word.publishers > 0 && !(config.participant && camera()));
      tell();
      last.renew();
    },
    frame(blob) {
      // Without a source the server sends a placeholder; this page says it in its own words.
      if (camera() && PICTURED.has(camera().state)) paint(blob);
    },
    down() {
      socket = 'down';
      if (endFallback) return;
      refusal = null;
      quiet();
      tell();
    },
    refused(word) {
      socket = 'down';
      refusal = word;
      cameraThere = false;
      stopFallback();
      quiet();
      viewing.stop();
      tell();
      last.forget();
    },
    blocked: startFallback,
  });

  // The room's camera, if this page is to show it and the server is there to tell.
  function camera() {
    const found = socket === 'up' ? told.camera : null;
    return found && config.participant !== null && found.participant !== config.participant ? null : found;
  }

  // What is seen, in words; and which tiles there are.
  function tell() {
    const seen = viewing.state();
    const given = { told, socket, camera: camera(), seen, fellBack, participant: config.participant };
    hls.want(!asleep && needsHls(given));
    given.hls = hls.playing;
    if (!asleep) {
      const [words, since] = refusal ? [refusalState(refusal), null] : wordsFor(given);
      status.show(words, since);
    }
    // The camera's last picture stays until there is something else to see.
    cameraTile.hidden = hls.playing || (seen.people > 0 && !cameraThere && !fellBack);
    for (const tile of viewing.tiles.all) tile.element.hidden = hls.playing; // who is in the room is in its HLS
    markQuiet(cameraTile, !cameraTile.hidden && seen.people > 0 && !fellBack && !(camera() && camera().state === 'live'));
    arrange();
    if (seen.playing) playedAt = Date.now();
    const live = camera() && camera().state === 'live'; // its picture comes with the word
    last.show(!asleep && !refusal && !seen.playing && !hls.playing && !(fresh && fellBack) && !live, remains());
    notify();
  }

  // When the picture was new that is still on the screen; 0: there is none.
  function remains() {
    const people = viewing.tiles.all.some(({ element }) => !element.hidden && 'seen' in element.dataset);
    return Math.max(shown && !cameraTile.hidden ? shown.at : 0, people ? playedAt : 0);
  }

  function notify() {
    for (const listener of listeners) listener();
  }

  function paint(blob) {
    fps.frame(performance.now());
    painter.push(blob);
  }

  function quiet() {
    painter.forget();
    fps.reset();
    fresh = false;
  }

  function startFallback() {
    if (endFallback) return;
    endFallback = readMjpeg(mjpegUrl(config), {
      frame(blob) {
        if (!fellBack) {
          fellBack = true;
          link.relax(true);
          tell();
        }
        paint(blob);
      },
      end() {
        stopFallback();
        quiet();
        tell();
      },
    });
  }

  function stopFallback() {
    if (endFallback) endFallback();
    endFallback = null;
    fellBack = false;
    link.relax(false);
  }

  function again() {
    refusal = null;
    link.restart();
    viewing.restart();
  }

  function sleep() {
    asleep = true;
    stopFallback();
    link.stop();
    viewing.stop();
    hls.want(false);
    socket = 'opening';
    told = null;
    quiet();
    status.show(STATES.paused);
  }

  function wake() {
    if (asleep) status.show(STATES.opening);
    asleep = false;
    link.start();
  }

  watchPage({ sleep, wake, networkBack: again });
  wake();
  return {
    config,
    root,
    sound,
    viewing,
    // Calls it whenever the controls may have to change, and now.
    listen(listener) {
      listeners.add(listener);
      listener();
    },
    // The tiles with something to see now: {element, source}.
    pictures() {
      const people = viewing.tiles.all.filter((tile) => 'seen' in tile.element.dataset);
      const found = people.map((tile) => ({ element: tile.element, source: tile.video }));
      const here = fellBack || (camera() && PICTURED.has(camera().state));
      if (here && shown) found.unshift({ element: cameraTile, source: document.getElementById('picture') });
      if (hls.playing) return [hls.tile];
      return viewing.state().playing || here ? found : [];
    },
    // The tiles whose video may float in a little window.
    videos() {
      return hls.playing ? [{ element: hls.tile.element, video: hls.tile.source }] : viewing.tiles.all;
    },
    // {blob, at} of what is seen. A camera alone: its own JPEG as it came, full size, not encoded again.
    async snapshot() {
      const pictures = this.pictures();
      const alone = pictures.length === 1 && pictures[0].element === cameraTile;
      if (alone) return { blob: new Blob([shown.blob], { type: 'image/jpeg' }), at: new Date(shown.at) };
      return { blob: await takeSnapshot(box, pictures), at: new Date() };
    },
    // Once a second: how fast, and how long ago.
    tick() {
      status.tellTime();
      last.draw();
      return (camera() && camera().state === 'live') || fellBack ? fps.read(performance.now()) : 0;
    },
  };
}
