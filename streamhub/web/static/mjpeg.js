// The fallback where WebSockets are blocked: reads the MJPEG stream part by part.
//
// Not an <img>: that one neither tells when a picture comes nor that the stream has died, and would show an old
// picture as a live one.

const SILENCE_LIMIT_MS = 12000; // The server repeats its placeholder every 5 s.
const HEAD_LIMIT = 4096;

// on.frame(blob) per picture, on.end() once when it is over. Returns a function that ends it in silence.
export function readMjpeg(url, on) {
  const abort = new AbortController();
  let over = false;
  let timer = 0;

  const rearm = () => {
    clearTimeout(timer);
    timer = setTimeout(finish, SILENCE_LIMIT_MS);
  };
  function stop() {
    over = true;
    clearTimeout(timer);
    abort.abort();
  }
  function finish() {
    if (over) return;
    stop();
    on.end();
  }
  async function read() {
    rearm();
    const answer = await fetch(url, { signal: abort.signal, cache: 'no-store', credentials: 'omit' });
    if (!answer.ok || !answer.body) throw new Error(`HTTP ${answer.status}`);
    const reader = answer.body.getReader();
    const parts = createPartReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const jpeg of parts.push(value)) {
        if (over) return;
        rearm();
        on.frame(new Blob([jpeg], { type: 'image/jpeg' }));
      }
    }
  }
  read().then(finish, finish);
  return stop;
}

// Bytes in, whole JPEGs out. Parts carry their length, so their contents are never searched.
export function createPartReader() {
  let chunks = [];
  let held = 0;
  let need = 0; // bytes of the body being read; 0 while in a head

  function joined() {
    const all = new Uint8Array(held);
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  return {
    push(chunk) {
      const out = [];
      chunks.push(chunk);
      held += chunk.length;
      if (held < need) return out;
      let rest = joined();
      for (;;) {
        if (!need) {
          const end = endOfHead(rest);
          if (end < 0) {
            if (rest.length > HEAD_LIMIT) throw new Error('not an MJPEG stream');
            break;
          }
          const length = /content-length:\s*(\d+)/i.exec(String.fromCharCode.apply(null, rest.subarray(0, end)));
          if (!length) throw new Error('a part without a length');
          need = Number(length[1]);
          rest = rest.subarray(end);
        }
        if (rest.length < need) break;
        if (need) out.push(rest.slice(0, need));
        rest = rest.subarray(need);
        need = 0;
      }
      chunks = [rest];
      held = rest.length;
      return out;
    },
  };
}

function endOfHead(bytes) {
  const last = Math.min(bytes.length, HEAD_LIMIT) - 4;
  for (let i = 0; i <= last; i += 1) {
    if (bytes[i] === 13 && bytes[i + 1] === 10 && bytes[i + 2] === 13 && bytes[i + 3] === 10) return i + 4;
  }
  return -1;
}
