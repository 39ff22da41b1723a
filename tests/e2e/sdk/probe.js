// What the tests look at: everything the SDK said, and whether a video moves and a stream sounds.

window.said = [];
window.say = (name) => (...given) => window.said.push([name, ...given.map(plain)]);

// Sound needs no place on the page, so its elements are found where they are made.
window.audios = [];
const make = document.createElement.bind(document);
document.createElement = (name, ...rest) => {
  const element = make(name, ...rest);
  if (name === 'audio') audios.push(element);
  return element;
};

// Tracks and streams do not travel to the test; what they are does.
function plain(value) {
  return value === undefined ? null : JSON.parse(JSON.stringify(value, (_, v) => (v instanceof MediaStream ? 'stream' : v instanceof Error ? { code: v.code, message: v.message } : v)));
}

window.heard = (name, check = () => true) => window.said.some(([said, ...given]) => said === name && check(...given));
window.count = (name) => window.said.filter(([said]) => said === name).length;

// A promise that is not kept in time fails the test with what was said; Playwright itself would wait for ever.
window.soon = (promise, what) =>
  Promise.race([
    promise,
    new Promise((_, reject) => {
      setTimeout(() => reject(new Error(`${what}: not in 30 s; said: ${JSON.stringify(said)}`)), 30000);
    }),
  ]);

function look(video) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 32, height: 24 });
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  pen.drawImage(video, 0, 0, 32, 24);
  return pen.getImageData(0, 0, 32, 24).data.join();
}

// Resolves with the picture's size once several looks in a row were different ones, or the same.
async function watch(video, different) {
  let last = null;
  for (let times = 0; times < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 150));
    if (!video.videoWidth) continue;
    const seen = look(video);
    times = last !== null && (seen !== last) === different ? times + 1 : 0;
    last = seen;
  }
  return [video.videoWidth, video.videoHeight];
}
window.moves = (video) => soon(watch(video, true), 'moving');
window.stands = (video) => soon(watch(video, false), 'standing still');

// Resolves with the loudness once there is some. Chromium's fake microphone beeps once a second.
window.sounds = (stream) => soon(hear(stream), 'sounding');

async function hear(stream) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    analyser.getFloatTimeDomainData(samples);
    const level = Math.max(...samples.map(Math.abs));
    if (level > 0.01) {
      await context.close();
      return level;
    }
  }
}
