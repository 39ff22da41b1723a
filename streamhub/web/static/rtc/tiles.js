// The tiles of people and shared screens: elements for what `tilesOf` (people.js) lists, kept as long as the id lasts.

const STILL_WIDTH = 960;

// `sound` (sound.js) gets the audio elements. `on.pictured()`: a tile shows its first picture. `on.resized()`: the
// shape of a picture has changed.
export function createTiles(container, sound, on = {}) {
  const tiles = new Map(); // id → tile

  function make(id) {
    const element = document.createElement('figure');
    element.className = 'tile';
    element.innerHTML =
      '<canvas class="still" hidden></canvas><video playsinline muted></video>' +
      '<span class="tile-face" aria-hidden="true"></span>' +
      '<figcaption class="tile-name"><svg class="icon mic-off" aria-hidden="true" viewBox="0 0 24 24">' +
      '<path d="M9 9v2a3 3 0 0 0 4.6 2.5M15 11.5V6a3 3 0 0 0-5.7-1.3M6 11a6 6 0 0 0 9.5 4.9M18 11a6 6 0 0 1-.4 2M12 17v4M4 3l16 18"/>' +
      '</svg><span></span><em></em></figcaption>';
    const tile = {
      id,
      element,
      video: element.querySelector('video'),
      still: element.querySelector('.still'),
      track: null,
      audios: new Map(), // track → element
    };
    tile.video.muted = true; // The attribute counts only for elements the parser makes.
    tile.video.addEventListener('loadeddata', () => pictured(tile));
    tile.video.addEventListener('resize', () => on.resized && on.resized());
    return tile;
  }

  function pictured(tile) {
    tile.element.dataset.seen = '';
    tile.still.hidden = true;
    if (on.pictured) on.pictured(tile);
  }

  function update(tile, told) {
    const { element } = tile;
    Object.assign(tile, { told });
    const track = (told.video && !told.video.isMuted && told.video.track) || null;
    element.dataset.kind = told.kind;
    element.dataset.identity = told.identity;
    set(element, 'local', told.local);
    set(element, 'speaking', told.speaking);
    set(element, 'silent', told.silent);
    // Whoever sends no picture has a face instead; a picture that has not come yet is waited for.
    set(element, 'pictured', Boolean(told.video && !told.video.isMuted));
    text(element.querySelector('.tile-name span'), told.kind === 'screen' ? `${told.name} – screen` : told.name);
    text(element.querySelector('.tile-face'), [...told.name][0] || '?');
    tile.video.setAttribute('aria-label', `Video of ${told.name}`);
    if (track !== tile.track) exchange(tile, track);
    hear(tile, told.local ? [] : told.audios.map((publication) => publication.track).filter(Boolean));
  }

  function exchange(tile, track) {
    if (tile.track) tile.track.detach(tile.video);
    tile.track = track;
    delete tile.element.dataset.seen;
    if (!track) return;
    hurry(track);
    track.attach(tile.video);
  }

  function hear(tile, tracks) {
    for (const [track, element] of tile.audios) {
      if (tracks.includes(track)) continue;
      track.detach(element);
      sound.remove(element);
      element.remove();
      tile.audios.delete(track);
    }
    for (const track of tracks) {
      if (tile.audios.has(track)) continue;
      hurry(track);
      const element = document.createElement('audio');
      element.muted = sound.muted;
      tile.audios.set(track, element);
      tile.element.append(element);
      track.attach(element);
      sound.add(element);
    }
  }

  function remove(tile) {
    exchange(tile, null);
    hear(tile, []);
    tile.element.remove();
    tiles.delete(tile.id);
  }

  return {
    // Makes the tiles those of the list, in its order. Returns whether some have come or gone.
    show(list) {
      let changed = false;
      const ids = new Set(list.map((told) => told.id));
      for (const tile of [...tiles.values()]) {
        if (ids.has(tile.id)) continue;
        remove(tile);
        changed = true;
      }
      for (const [n, told] of list.entries()) {
        let tile = tiles.get(told.id);
        if (!tile) {
          tile = make(told.id);
          tiles.set(told.id, tile);
          container.append(tile.element);
          changed = true;
        }
        update(tile, told);
        // Not by moving the element: a video that is moved stops.
        tile.element.style.order = n + 1;
      }
      return changed;
    },
    // Keeps the pictures as they are now: LiveKit's client empties the elements when it connects anew.
    freeze() {
      for (const { video, still } of tiles.values()) {
        if (!video.videoWidth || video.readyState < 2) continue;
        const scale = Math.min(1, STILL_WIDTH / video.videoWidth);
        still.width = Math.round(video.videoWidth * scale);
        still.height = Math.round(video.videoHeight * scale);
        still.getContext('2d', { alpha: false }).drawImage(video, 0, 0, still.width, still.height);
        still.hidden = false;
      }
    },
    // Says of each tile whether it is without news: `isQuiet(track)`.
    mark(isQuiet) {
      for (const tile of tiles.values()) {
        markQuiet(tile.element, Boolean(tile.track) && isQuiet(tile.track));
      }
    },
    get all() {
      return [...tiles.values()];
    },
  };
}

// A live picture is not to be smoothed: as little delay as the browser allows.
function hurry(track) {
  if (track.receiver && 'playoutDelayHint' in track.receiver) track.receiver.playoutDelayHint = 0;
}

// Says on the tile that its picture is an old one, or none.
export function markQuiet(element, yes) {
  set(element, 'quiet', yes);
  text(element.querySelector('em'), yes ? 'no picture' : '');
}

function set(element, name, yes) {
  if (yes) element.dataset[name] = '';
  else delete element.dataset[name];
}

function text(element, words) {
  if (element.textContent !== words) element.textContent = words;
}
