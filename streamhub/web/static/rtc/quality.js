// Which of a publisher's simulcast layers is wanted; LiveKit's client still takes a smaller one for a small tile.

const NAMES = { auto: null, high: 'HIGH', medium: 'MEDIUM', low: 'LOW' };

// Whether any of the tiles has layers to choose from.
export function hasLayers(tiles) {
  return tiles.some((tile) => !tile.local && tile.video && tile.video.track && layers(tile.video) > 1);
}

function layers(publication) {
  const info = publication.trackInfo;
  return info && info.simulcast !== false && info.layers ? info.layers.length : 1;
}

export function createQuality() {
  let wanted = 'auto';
  return {
    get wanted() {
      return wanted;
    },
    // One of auto, high, medium, low.
    set(name) {
      wanted = name in NAMES ? name : 'auto';
    },
    apply(tiles, livekit) {
      for (const { video, local } of tiles) {
        if (local || !video || !video.isDesired || layers(video) < 2) continue;
        // Without a wish of ours the size of the tile decides; HIGH is the limit that limits nothing.
        video.setVideoQuality(livekit.VideoQuality[NAMES[wanted] || 'HIGH']);
      }
    },
  };
}
