// Who is to be seen: from a LiveKit room to a list of tiles, one for each publisher and one for each shared screen.

const isScreen = (publication) => /^screen_share/.test(publication.source);
// A camera that sends JPEGs, brought into LiveKit for clients that know nothing else: we draw its own pictures.
const isDrawn = (person) => Boolean(person.attributes) && person.attributes['streamhub.type'] === 'ws-mjpeg';
const of = (kind) => (publication) => publication.kind === kind;

// Each tile: id (the same after a reconnect), identity, name, kind (person, screen), video (a publication or null),
// audios (publications), speaking, silent (its microphone is muted), local. `only`: the one identity to show.
export function tilesOf(room, { only = null, local = false } = {}) {
  const others = [...room.remoteParticipants.values()].sort(byArrival);
  const tiles = (local ? [room.localParticipant, ...others] : others)
    .filter((person) => !isDrawn(person) && (only === null || person.identity === only))
    .flatMap((person) => tilesOfOne(person, person === room.localParticipant));
  // Shared screens first: they are what people look at.
  return [...tiles.filter((tile) => tile.kind === 'screen'), ...tiles.filter((tile) => tile.kind !== 'screen')];
}

// Does without the media of cameras whose own pictures are drawn.
export function forgoDrawn(room) {
  for (const person of room.remoteParticipants.values()) {
    if (!isDrawn(person)) continue;
    for (const one of person.trackPublications.values()) if (one.isDesired) one.setSubscribed(false);
  }
}

// The same order on every page.
const byArrival = (a, b) => (a.joinedAt || 0) - (b.joinedAt || 0) || (a.identity < b.identity ? -1 : 1);

function tilesOfOne(person, local) {
  const publications = [...person.trackPublications.values()];
  const screens = publications.filter(isScreen);
  const others = publications.filter((publication) => !isScreen(publication));
  const make = (kind) => (video, n) => ({
    id: `${person.identity}/${kind}/${n}`,
    identity: person.identity,
    name: person.name || person.identity,
    kind,
    video,
    audios: n === 0 ? (kind === 'screen' ? screens : others).filter(of('audio')) : [],
    speaking: n === 0 && kind === 'person' && person.isSpeaking,
    silent: kind === 'person' && isSilent(others.filter(of('audio'))),
    local,
  });
  const seen = others.filter(of('video'));
  const heard = others.some(of('audio'));
  return [
    ...screens.filter(of('video')).map(make('screen')),
    ...(seen.length ? seen : heard ? [null] : []).map(make('person')),
  ];
}

const isSilent = (audios) => audios.length > 0 && audios.every((publication) => publication.isMuted);

// The tracks from which something should come now: subscribed, not muted, not switched off because nobody sees them.
export function expectedTracks(tiles) {
  return tiles
    .filter((tile) => !tile.local)
    .flatMap((tile) => [tile.video, ...tile.audios])
    .filter((publication) => publication && publication.isDesired && publication.isEnabled && !publication.isMuted);
}
