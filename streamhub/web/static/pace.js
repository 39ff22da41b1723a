// How long to wait: between attempts, and for a picture that should have come.

const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 10000;

// Doubling delays up to a cap, each spread over its upper half, so that many pages do not return in step.
export function createBackoff(random = Math.random) {
  let delay = FIRST_DELAY_MS;
  return {
    next() {
      const chosen = delay * (0.5 + random() / 2);
      delay = Math.min(delay * 2, LAST_DELAY_MS);
      return chosen;
    },
    reset() {
      delay = FIRST_DELAY_MS;
    },
  };
}

const LEAST_PATIENCE_MS = 5000;
const MOST_PATIENCE_MS = 60000;
const INTERVALS = 5;

// Learns the usual time between pictures; limit() is how long a live camera may be silent.
// A camera slower than the limit shows one picture a connection, so its rhythm cannot be learned: each
// disappointment doubles the patience instead of reconnecting for ever every five seconds.
export function createRhythm() {
  let interval = 0;
  let last = 0;
  let patience = LEAST_PATIENCE_MS;
  return {
    // What lies before was an outage or another connection, not a rhythm.
    resumed() {
      last = 0;
    },
    frame(now) {
      if (last) {
        interval = interval ? interval * 0.8 + (now - last) * 0.2 : now - last;
        patience = LEAST_PATIENCE_MS;
      }
      last = now;
    },
    disappointed() {
      patience = Math.min(patience * 2, MOST_PATIENCE_MS);
    },
    limit() {
      return Math.max(patience, INTERVALS * interval);
    },
  };
}

const WINDOW_MS = 4000;

// Frames per second over the last four seconds.
export function createFps() {
  let times = [];
  return {
    frame(now) {
      times.push(now);
      if (times.length > 400) times = times.slice(200);
    },
    read(now) {
      times = times.filter((at) => now - at < WINDOW_MS);
      if (times.length < 2) return 0;
      return ((times.length - 1) * 1000) / (times[times.length - 1] - times[0]);
    },
    reset() {
      times = [];
    },
  };
}
