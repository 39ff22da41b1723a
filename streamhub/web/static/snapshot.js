// One JPEG of what is on the screen: a single picture in its own size, several as they are arranged.

const QUALITY = 0.92;
const MOST_WIDTH = 3840;

// `pictures`: [{element: the tile, source: its video or canvas}] within `box`.
export async function takeSnapshot(box, pictures) {
  const canvas = document.createElement('canvas');
  const pen = canvas.getContext('2d', { alpha: false });
  if (pictures.length === 1) {
    const { width, height } = sizeOf(pictures[0].source);
    canvas.width = width;
    canvas.height = height;
    pen.drawImage(pictures[0].source, 0, 0, width, height);
  } else {
    const outer = box.getBoundingClientRect();
    // As sharp as the sharpest of them.
    const scales = pictures.map(({ element, source }) => sizeOf(source).width / element.clientWidth);
    const scale = Math.min(Math.max(1, ...scales), MOST_WIDTH / outer.width);
    canvas.width = Math.round(outer.width * scale);
    canvas.height = Math.round(outer.height * scale);
    for (const { element, source } of pictures) {
      const tile = element.getBoundingClientRect();
      const size = sizeOf(source);
      const fit = Math.min(tile.width / size.width, tile.height / size.height) * scale;
      const [width, height] = [size.width * fit, size.height * fit];
      const left = (tile.left - outer.left + tile.width / 2) * scale - width / 2;
      const top = (tile.top - outer.top + tile.height / 2) * scale - height / 2;
      pen.drawImage(source, left, top, width, height);
    }
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no picture'))), 'image/jpeg', QUALITY);
  });
}

const sizeOf = (source) =>
  source.videoWidth !== undefined
    ? { width: source.videoWidth, height: source.videoHeight }
    : { width: source.width, height: source.height };
