/** Charts as SVG text: both axes in powers of ten, a line for each series. Pure: the same data make the same picture. */

export interface Series {
  readonly name: string;
  readonly color: string;
  readonly isDashed?: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
}

const WIDTH = 480;
const HEIGHT = 320;
/** Around the area that the lines are in. */
const EDGE = { left: 64, right: 16, top: 36, bottom: 72 };
const FOOTER = 28;
const TEXT = '#24292f';
const GRID = '#d0d7de';

/** Charts in rows of two, and a line of text below them. */
export function chartPage(charts: readonly Chart[], footer: string): string {
  const rows = Math.ceil(charts.length / 2);
  const [width, height] = [2 * WIDTH, rows * HEIGHT + FOOTER];
  const placed = charts.map(
    (chart, index) =>
      `<g transform="translate(${(index % 2) * WIDTH} ${Math.floor(index / 2) * HEIGHT})">\n${chartBody(chart)}\n</g>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="${TEXT}">`,
    `<title>${escaped(charts.map(({ title }) => title).join('; '))}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...placed,
    text(width / 2, height - 10, footer, 'middle'),
    '</svg>\n',
  ].join('\n');
}

interface Scale {
  /** Powers of ten, where the grid has its lines. */
  readonly powers: readonly number[];
  /** 0 at the lowest of them, 1 at the highest. */
  readonly share: (value: number) => number;
}

/** From the power of ten below all values to the one above. */
export function logScale(values: readonly number[]): Scale {
  const above = values.filter((value) => value > 0);
  const low = above.length === 0 ? 0 : Math.floor(Math.log10(Math.min(...above)));
  const high = above.length === 0 ? 1 : Math.max(low + 1, Math.ceil(Math.log10(Math.max(...above))));
  return {
    powers: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
    share: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low),
  };
}

function chartBody({ title, x, y, series }: Chart): string {
  const [right, bottom] = [WIDTH - EDGE.right, HEIGHT - EDGE.bottom];
  const across = logScale(series.flatMap(({ points }) => points.map(([value]) => value)));
  const up = logScale(series.flatMap(({ points }) => points.map(([, value]) => value)));
  const atX = (value: number): number => EDGE.left + across.share(value) * (right - EDGE.left);
  const atY = (value: number): number => bottom - up.share(value) * (bottom - EDGE.top);
  return [
    `<text x="${EDGE.left}" y="20" font-size="14" font-weight="bold">${escaped(title)}</text>`,
    ...across.powers.flatMap((power) => [
      rule(atX(power), EDGE.top, atX(power), bottom),
      text(atX(power), bottom + 16, shown(power), 'middle'),
    ]),
    ...up.powers.flatMap((power) => [
      rule(EDGE.left, atY(power), right, atY(power)),
      text(EDGE.left - 6, atY(power) + 4, shown(power), 'end'),
    ]),
    text((EDGE.left + right) / 2, bottom + 34, x, 'middle'),
    `<text transform="translate(14 ${(EDGE.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(y)}</text>`,
    ...series.map((line) => drawn(line, atX, atY)),
    ...series.map((line, index) => legend(line, EDGE.left + (index * (right - EDGE.left)) / 4, bottom + 56)),
  ].join('\n');
}

function drawn({ color, isDashed, points }: Series, atX: Place, atY: Place): string {
  const places = points.map(([x, y]) => `${round(atX(x))},${round(atY(y))}`);
  const dots = points.map(
    ([x, y]) => `<circle cx="${round(atX(x))}" cy="${round(atY(y))}" r="3" fill="${color}"/>`,
  );
  return `<polyline points="${places.join(' ')}" fill="none" stroke="${color}" stroke-width="2"${dashes(isDashed)}/>\n${dots.join('')}`;
}
type Place = (value: number) => number;

function legend({ name, color, isDashed }: Series, x: number, y: number): string {
  const line = `<line x1="${round(x)}" y1="${y - 4}" x2="${round(x + 16)}" y2="${y - 4}" stroke="${color}" stroke-width="2"${dashes(isDashed)}/>`;
  return `${line}${text(x + 20, y, name, 'start')}`;
}

const dashes = (isDashed = false): string => (isDashed ? ' stroke-dasharray="5 4"' : '');

function rule(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${GRID}"/>`;
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

const round = (value: number): number => Number(value.toFixed(1));

/** 1,000 as people write it on an axis: `1k`. */
function shown(power: number): string {
  if (power >= 1e6) return `${power / 1e6}M`;
  return power >= 1e3 ? `${power / 1e3}k` : String(power);
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
