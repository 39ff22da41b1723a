// Divides a box among its visible children so that they are as large as possible.

const ASPECT = 16 / 9;

// Columns and rows for `count` tiles in a box: those that make a 16:9 picture largest, beside each other if it is the same.
export function divide(count, width, height) {
  let best = { columns: 1, rows: Math.max(1, count), size: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const size = Math.min(width / columns, (height / rows) * ASPECT);
    if (size >= best.size) best = { columns, rows, size };
  }
  return { columns: best.columns, rows: best.rows };
}

// Keeps the box divided while its size or its children change. Call the returned function after changing children.
export function keepDivided(box) {
  function arrange() {
    const shown = [...box.children].filter((child) => !child.hidden).sort((a, b) => a.style.order - b.style.order);
    const { columns, rows } = divide(shown.length, box.clientWidth, box.clientHeight);
    box.dataset.count = shown.length;
    // Twice as many tracks as columns, so that a short last row can be centred.
    box.style.gridTemplateColumns = `repeat(${columns * 2}, minmax(0, 1fr))`;
    box.style.gridTemplateRows = `repeat(${rows}, minmax(0, 1fr))`;
    const short = shown.length % columns;
    shown.forEach((child, n) => {
      const firstOfShort = short && n === shown.length - short;
      child.style.gridColumn = firstOfShort ? `${columns - short + 1} / span 2` : 'span 2';
    });
  }
  new ResizeObserver(arrange).observe(box);
  return arrange;
}
