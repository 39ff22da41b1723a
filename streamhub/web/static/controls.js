// Buttons and keys: full screen, snapshot, fit. A control that cannot work here is not shown.

import { fileStamp } from './words.js';

const IDLE_MS = 3000;

export function addControls(player) {
  const { root } = player;
  const act = { fullscreen: () => toggleFullscreen(root), snapshot: () => saveSnapshot(player), fit: () => toggleFit(root) };
  for (const name of Object.keys(act)) {
    const button = document.getElementById(name);
    if (button) button.addEventListener('click', act[name]);
  }
  // An iframe without the permission cannot go full screen; a page of its own can at least fill the window.
  const full = document.getElementById('fullscreen');
  if (full && !canFullscreen() && window.top !== window) full.hidden = true;

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === 'f') act.fullscreen();
    else if (event.key === 's') act.snapshot();
    else if (event.key === 'Escape') delete root.dataset.filled;
  });
  document.getElementById('stage').addEventListener('dblclick', act.fullscreen);
  document.getElementById('bar').hidden = false;
  hideWhenIdle(root);
}

const canFullscreen = () => document.fullscreenEnabled || document.webkitFullscreenEnabled;

function toggleFullscreen(root) {
  const leave = document.exitFullscreen || document.webkitExitFullscreen;
  const enter = root.requestFullscreen || root.webkitRequestFullscreen;
  if (document.fullscreenElement || document.webkitFullscreenElement) leave.call(document);
  else if (canFullscreen()) Promise.resolve(enter.call(root)).catch(() => fillWindow(root));
  else fillWindow(root);
}

// iPhones keep full screen to their own video player.
function fillWindow(root) {
  if ('filled' in root.dataset) delete root.dataset.filled;
  else root.dataset.filled = '';
}

function toggleFit(root) {
  root.dataset.fit = root.dataset.fit === 'cover' ? 'contain' : 'cover';
  document.getElementById('fit').setAttribute('aria-pressed', String(root.dataset.fit === 'cover'));
}

// The camera's own JPEG, as it came: full size, not encoded again.
function saveSnapshot(player) {
  const frame = player.picture();
  if (!frame) return;
  const { app, name } = player.config;
  const address = URL.createObjectURL(new Blob([frame.blob], { type: 'image/jpeg' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = `${app}-${name}-${fileStamp(new Date(frame.at))}.jpg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
  player.root.dataset.flash = '';
  setTimeout(() => delete player.root.dataset.flash, 200);
}

// Where the buttons lie over the picture they leave when nobody moves.
function hideWhenIdle(root) {
  let timer = 0;
  const rest = () => {
    root.dataset.idle = '';
  };
  const stir = () => {
    delete root.dataset.idle;
    clearTimeout(timer);
    timer = setTimeout(rest, IDLE_MS);
  };
  for (const name of ['pointermove', 'pointerdown', 'keydown']) root.addEventListener(name, stir);
  root.addEventListener('pointerleave', rest);
  rest();
}
