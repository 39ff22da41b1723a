// The player of both pages: viewer socket in, canvas out, and an honest word about what is seen.

import { mjpegUrl, readConfig, socketUrl } from './config.js';
import { createLink } from './link.js';
import { readMjpeg } from './mjpeg.js';
import { createFps } from './pace.js';
import { createPainter } from './painter.js';
import { createStatus } from './status.js';
import { STATES, refusalState } from './words.js';

const HIDDEN_LIMIT_MS = 30000;

export function startPlayer() {
  const root = document.getElementById('player');
  const config = readConfig(root, location);
  const fps = createFps();
  const status = createStatus(root, () => link.restart());
  let state = null; // the server's last word on this connection
  let shown = null; // the frame on the canvas
  let endFallback = null;

  const painter = createPainter(document.getElementById('picture'), (frame) => {
    shown = frame;
    status.pictured();
  });

  const link = createLink(socketUrl(config), {
    open: () => stopFallback(),
    state(word, since) {
      state = word === 'ended' ? 'offline' : word;
      if (state !== 'live') quiet();
      status.show(STATES[state] || STATES.connecting, since);
    },
    frame(blob) {
      // Without a source the server sends a placeholder; this page says it in its own words.
      if (state === 'live' || state === 'stale') paint(blob);
    },
    down() {
      state = null;
      if (endFallback) return;
      quiet();
      status.show(STATES.lost);
    },
    refused(word) {
      state = null;
      stopFallback();
      quiet();
      status.show(refusalState(word));
    },
    blocked: startFallback,
  });

  function paint(blob) {
    fps.frame(performance.now());
    painter.push(blob);
  }

  function quiet() {
    painter.forget();
    fps.reset();
  }

  function startFallback() {
    if (endFallback) return;
    endFallback = readMjpeg(mjpegUrl(config), {
      frame(blob) {
        status.show(STATES.mjpeg);
        link.relax(true);
        paint(blob);
      },
      end() {
        stopFallback();
        quiet();
        status.show(STATES.lost);
      },
    });
  }

  function stopFallback() {
    if (endFallback) endFallback();
    endFallback = null;
    link.relax(false);
  }

  let asleep = true;

  function sleep() {
    asleep = true;
    stopFallback();
    link.stop();
    state = null;
    quiet();
    status.show(STATES.paused);
  }

  function wake() {
    if (asleep) status.show(STATES.opening);
    asleep = false;
    link.start();
  }

  watchPage({ sleep, wake, networkBack: () => link.restart() });
  wake();
  return {
    config,
    root,
    // The picture worth saving: the one on the screen, if the camera is there.
    picture: () => (state === 'live' || state === 'stale' || endFallback ? shown : null),
    // Once a second: how fast, and how long ago.
    tick() {
      status.tellTime();
      return state === 'live' || endFallback ? fps.read(performance.now()) : 0;
    },
  };
}

// A page nobody sees lets go after a while; one that is seen again must not wait.
function watchPage(on) {
  let timer = 0;
  const wake = () => {
    clearTimeout(timer);
    on.wake();
  };
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (document.visibilityState === 'hidden') timer = setTimeout(on.sleep, HIDDEN_LIMIT_MS);
    else wake();
  });
  window.addEventListener('pagehide', on.sleep); // An open socket would keep the page out of the Back button's cache.
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) wake();
  });
  window.addEventListener('online', on.networkBack);
}
