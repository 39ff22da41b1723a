// The buttons, the mirror, the words about devices: what is on the screen of somebody who sends.

import { createMeter } from './meter.js';
import { createPickers } from './pickers.js';

const part = (id) => document.getElementById(id);
const KEYS = { m: 'microphone', v: 'camera', s: 'screen' };
const LABELS = {
  camera: ['Turn the camera off', 'Turn the camera on'],
  microphone: ['Mute the microphone', 'Unmute the microphone'],
  screen: ['Stop sharing', 'Share your screen'],
};

// `kinds`: which of camera and microphone this person may use. on.speaker(deviceId): another one was chosen.
export function createPanel(kinds, on) {
  const problems = new Map();
  const meter = createMeter(part('meter'));
  let capture = null;
  let buttons = [];
  let shown = null; // the track in the mirror
  let pickers = null;

  function press(kind) {
    if (buttons.includes(kind)) capture.toggle(kind);
  }

  for (const kind of Object.keys(LABELS)) part(kind).addEventListener('click', () => press(kind));
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    const kind = KEYS[event.key.toLowerCase()];
    if (kind) press(kind);
  });
  part('devices').addEventListener('click', () => {
    const open = part('setup').toggleAttribute('data-open');
    part('devices').setAttribute('aria-expanded', String(open));
    hear();
  });
  const speakers = Boolean(navigator.mediaDevices) && 'setSinkId' in HTMLMediaElement.prototype;
  part('meter').hidden = !kinds.includes('microphone');
  const lists = [...kinds, ...(speakers ? ['speaker'] : [])];
  for (const kind of ['camera', 'microphone', 'speaker']) part(`pick-${kind}`).closest('.pick').hidden = !lists.includes(kind);

  function look() {
    const track = capture.isOn('camera') ? capture.track('camera') : null;
    const video = part('mirror-video');
    if (track !== shown) {
      if (shown) shown.detach(video);
      shown = track;
      if (track) track.attach(video);
    }
    video.hidden = !track;
    let word = track ? '' : 'Your camera is off';
    if (!kinds.includes('camera')) word = kinds.length ? 'This token is for your voice only' : 'You will not be seen';
    part('mirror-word').textContent = word;
  }

  // A meter that nobody looks at need not measure.
  function hear() {
    const seen = part('studio').dataset.phase === 'lobby' || part('setup').hasAttribute('data-open');
    meter.watch(seen && capture.isOn('microphone') ? capture.track('microphone').mediaStreamTrack : null);
  }

  function tellProblems() {
    part('problems').replaceChildren(
      ...[...problems.values()].map((words) => {
        const line = document.createElement('p');
        line.textContent = words;
        return line;
      }),
    );
    const missing = kinds.some((kind) => problems.has(kind) && !capture.isOn(kind));
    part('retry').hidden = !missing;
  }

  const panel = {
    // Before anything else: whose state is shown.
    use(given) {
      capture = given;
    },
    // Which buttons there are: microphone, camera, screen.
    offer(names) {
      buttons = names;
      for (const kind of Object.keys(LABELS)) part(kind).hidden = !names.includes(kind);
    },
    async listDevices() {
      if (!navigator.mediaDevices) return;
      if (!pickers) {
        const current = (kind) => (capture.track(kind) ? capture.track(kind).mediaStreamTrack.getSettings().deviceId : null);
        pickers = createPickers(lists, current, {
          choose: (kind, id) => (kind === 'speaker' ? on.speaker(id) : capture.choose(kind, id)),
        });
      }
      await pickers.refresh();
    },
    // A track or its state has changed.
    update(kind) {
      const button = part(kind);
      const isOn = capture.isOn(kind);
      button.setAttribute('aria-pressed', String(isOn));
      button.setAttribute('aria-busy', String(capture.isBusy(kind)));
      const [whenOn, whenOff] = LABELS[kind];
      button.title = `${isOn ? whenOn : whenOff} (${button.getAttribute('aria-keyshortcuts')})`;
      if (kind === 'screen') button.querySelector('.tool-label').textContent = isOn ? 'Stop sharing' : 'Share screen';
      if (kind === 'camera') look();
      if (kind === 'microphone') hear();
      tellProblems();
      if (pickers) pickers.refresh();
    },
    refresh() {
      for (const kind of Object.keys(LABELS)) panel.update(kind);
    },
    // What is wrong with one of them; '': nothing any more.
    say(kind, words) {
      if (words) problems.set(kind, words);
      else problems.delete(kind);
      tellProblems();
    },
    // Whether there is any device to choose.
    hasLists: lists.length > 0,
    get troubled() {
      return kinds.filter((kind) => problems.has(kind) && !capture.isOn(kind));
    },
  };
  return panel;
}
