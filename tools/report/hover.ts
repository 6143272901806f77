/**
 * Tells the values under the pointer in plots that carry them (`data-hover`, see HoverData in plot.ts). Everything is readable without
 * it: it only saves measuring with the eye.
 */
export const HOVER_SCRIPT = `
const make = (name, attributes, text) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
for (const svg of document.querySelectorAll('svg[data-hover]')) {
  const { unit, top, height, left, right, lines } = JSON.parse(svg.dataset.hover);
  const clear = () => svg.querySelector('.cursor')?.remove();
  svg.addEventListener('pointerleave', clear);
  svg.addEventListener('pointermove', (event) => {
    clear();
    const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).x;
    const near = (points) => points.reduce((best, point) => (best === null || Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best), null);
    const found = lines.map(({ name, points }) => ({ name, point: near(points) })).filter(({ point }) => point !== null);
    if (x < left || x > right || found.length === 0) return;
    const at = found.map(({ point }) => point).reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
    const told = [at[1], ...found.map(({ name, point }) => name + ': ' + point[2].toLocaleString('en-US', { maximumSignificantDigits: 3 }) + ' ' + unit)];
    const width = Math.max(...told.map((line) => line.length)) * 6.2 + 14;
    const boxX = at[0] + width + 10 > right ? at[0] - width - 8 : at[0] + 8;
    const cursor = make('g', { class: 'cursor' });
    cursor.append(make('line', { x1: at[0], x2: at[0], y1: top, y2: top + height }), make('rect', { x: boxX, y: top + 2, width, height: told.length * 14 + 8, rx: 4 }));
    told.forEach((line, i) => cursor.append(make('text', { x: boxX + 7, y: top + 16 + i * 14 }, line)));
    svg.append(cursor);
  });
}
`;
