// Buttons and keys: full screen, snapshot, fit, sound, quality, picture-in-picture. A control that cannot work here, or
// has nothing to work on, is not shown.

import { canSetVolume } from './rtc/sound.js';
import { fileStamp } from './words.js';

const IDLE_MS = 3000;
const VOLUME_STEP = 0.1;

export function addControls(player) {
  const { root, sound } = player;
  const part = (id) => document.getElementById(id);
  const act = {
    fullscreen: () => toggleFullscreen(root),
    snapshot: () => saveSnapshot(player),
    fit: () => toggleFit(root),
    mute: () => sound.toggle(),
    pip: () => togglePip(player),
  };
  for (const name of Object.keys(act)) if (part(name)) part(name).addEventListener('click', act[name]);
  // An iframe without the permission cannot go full screen; a page of its own can at least fill the window.
  const full = part('fullscreen');
  if (full && !canFullscreen() && window.top !== window) full.hidden = true;
  part('volume').addEventListener('input', () => sound.setVolume(part('volume').value / 100));
  part('quality').addEventListener('change', () => player.viewing.setQuality(part('quality').value));

  const volumeWorks = canSetVolume();
  player.listen(() => {
    part('mute').hidden = !sound.present;
    part('volume').parentElement.hidden = !sound.present || !volumeWorks;
    part('volume').value = sound.muted ? 0 : Math.round(sound.volume * 100);
    part('mute').setAttribute('aria-pressed', String(sound.muted));
    part('mute').title = sound.muted ? 'Sound on (m)' : 'Mute (m)';
    part('mute').querySelector('.tool-label').textContent = sound.muted ? 'Muted' : 'Mute';
    part('quality').parentElement.hidden = !player.viewing.hasLayers;
    part('pip').hidden = !document.pictureInPictureEnabled || !floatable(player);
  });

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === 'f') act.fullscreen();
    else if (event.key === 's') act.snapshot();
    else if (event.key === 'm' && sound.present) act.mute();
    else if (event.key === 'p' && !part('pip').hidden) act.pip();
    else if (event.key === 'ArrowUp' && sound.present) sound.setVolume(sound.volume + VOLUME_STEP);
    else if (event.key === 'ArrowDown' && sound.present) sound.setVolume(sound.volume - VOLUME_STEP);
    else if (event.key === 'Escape') delete root.dataset.filled;
    else return;
    event.preventDefault();
  });
  part('stage').addEventListener('dblclick', act.fullscreen);
  part('bar').hidden = false;
  hideWhenIdle(root);
}

// The button over the picture where the browser wants a tap before it lets sound through.
export function addUnmute({ sound, listen }) {
  const button = document.getElementById('unmute');
  button.addEventListener('click', () => sound.setMuted(false));
  listen(() => {
    button.hidden = !(sound.present && sound.blocked);
  });
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

// The video for the little window: who speaks, else the first.
function floatable(player) {
  const seen = player.videos().filter((tile) => 'seen' in tile.element.dataset);
  return seen.find((tile) => 'speaking' in tile.element.dataset) || seen[0] || null;
}

async function togglePip(player) {
  try {
    const tile = floatable(player);
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else if (tile) await tile.video.requestPictureInPicture();
  } catch (_) {
    // Refused by the browser, or the video has just gone: the button stays.
  }
}

async function saveSnapshot(player) {
  if (!player.pictures().length) return;
  const { app, name } = player.config;
  const { blob, at } = await player.snapshot();
  const address = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = address;
  link.download = `${app}-${name}-${fileStamp(at)}.jpg`;
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
