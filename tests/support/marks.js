// The pictures of tests/support/marks.py, in a page.
const SIDE = 4
const CHECKED = [0, 2, 4, 6]

function cellsOf(life, n) {
    const bit = (number, k) => (number >> k) & 1
    const check = [0, 1].map(j => CHECKED.reduce((sum, k) => sum + bit(n, k + j), bit(life, j)) % 2)
    return [1, ...[0, 1, 2, 3].map(k => bit(life, k)), ...[0, 1, 2, 3, 4, 5, 6, 7].map(k => bit(n, k)), ...check, 0]
}

function drawMark(pen, width, height, life, n) {
    cellsOf(life, n).forEach((white, cell) => {
        pen.fillStyle = white ? '#fff' : '#000'
        pen.fillRect(((cell % SIDE) * width) / SIDE, (Math.floor(cell / SIDE) * height) / SIDE, width / SIDE, height / SIDE)
    })
}

// [life, number] of what an element shows, or null.
function readMark(element, scratch = document.createElement('canvas')) {
    const [width, height] = (scratch.width = 64, scratch.height = 48, [64, 48])
    const pen = scratch.getContext('2d', { willReadFrequently: true })
    pen.drawImage(element, 0, 0, width, height)
    const { data } = pen.getImageData(0, 0, width, height)
    const bits = []
    for (let cell = 0; cell < SIDE * SIDE; cell += 1) {
        const x = ((2 * (cell % SIDE) + 1) * width) / (2 * SIDE)
        const y = ((2 * Math.floor(cell / SIDE) + 1) * height) / (2 * SIDE)
        const value = data[4 * (y * width + x) + 1]
        if (value > 90 && value < 165) return null
        bits.push(value >= 165 ? 1 : 0)
    }
    const number = (from, to) => bits.slice(from, to).reduce((sum, bit, k) => sum + (bit << k), 0)
    const [life, n] = [number(1, 5), number(5, 13)]
    return cellsOf(life, n).join() === bits.join() ? [life, n] : null
}
