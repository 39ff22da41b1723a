// Draws JPEGs on a canvas: at most one decode at a time and one picture a screen refresh; the newest wins.

const TOO_OLD_MS = 1000;

export function createPainter(canvas, onShown) {
  const context = canvas.getContext('2d', { alpha: false });
  let next = null;
  let busy = false;

  async function work() {
    busy = true;
    while (next) {
      const frame = next;
      next = null;
      try {
        const picture = await decode(frame.blob);
        await screenRefresh();
        // In a hidden tab there is no refresh: what has waited for it is not news any more.
        if (!next || Date.now() - frame.at < TOO_OLD_MS) draw(picture, frame);
        picture.close();
      } catch (_) {
        // A broken JPEG: the next one will do.
      }
    }
    busy = false;
  }

  function draw(picture, frame) {
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    context.drawImage(picture, 0, 0);
    onShown(frame);
  }

  return {
    push(blob) {
      next = { blob, at: Date.now() };
      if (!busy) work();
    },
    // What has not been drawn yet never will be.
    forget() {
      next = null;
    },
  };
}

const screenRefresh = () => new Promise((resolve) => requestAnimationFrame(resolve));

const decode = globalThis.createImageBitmap ? (blob) => createImageBitmap(blob) : decodeByImage;

// Browsers before 2021 on Apple's tablets.
function decodeByImage(blob) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    const address = URL.createObjectURL(blob);
    image.close = () => URL.revokeObjectURL(address);
    image.onload = () => resolve(image);
    image.onerror = () => {
      image.close();
      reject(new Error('not a picture'));
    };
    image.src = address;
  });
}
