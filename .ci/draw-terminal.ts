/**
 * `npm run picture`: runs the demo for some seconds and draws what it printed as `docs/pictures/demo.svg`.
 *
 * The picture is a photograph, not a drawing: every character in it came out of the demo.
 */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PICTURE = join(ROOT, 'docs', 'pictures', 'demo.svg');
const RUNS_FOR_MS = 9_000;
const ROWS = { first: 34, last: 16 } as const;
const COLUMNS = 124;
const CELL = { width: 7.83, height: 17 } as const;
const MARGIN = 16;

/** Colour of text by the number of its escape sequence (SGR), on a dark ground. */
const COLOURS: Readonly<Record<string, string>> = {
  '31': '#f47067',
  '32': '#57ab5a',
  '33': '#c69026',
  '34': '#539bf5',
  '36': '#39c5cf',
};
const PLAIN = { fill: '#cdd9e5', bold: false, dim: false };
type Look = typeof PLAIN;

const SGR = new RegExp(`${String.fromCharCode(27)}\\[(\\d+)m`);

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function lookAfter(look: Look, code: string): Look {
  if (code === '1') return { ...look, bold: true };
  if (code === '2') return { ...look, dim: true };
  if (code === '22') return { ...look, bold: false, dim: false };
  return { ...look, fill: COLOURS[code] ?? PLAIN.fill };
}

function drawRow(row: string, index: number): string {
  let look: Look = PLAIN;
  let column = 0;
  let spans = '';
  // Odd parts are the numbers of escape sequences.
  for (const [part, text] of row.split(SGR).entries()) {
    if (part % 2 === 1) {
      look = lookAfter(look, text);
      continue;
    }
    const from = column;
    const room = Math.max(0, COLUMNS - from);
    const shown = text.length > room ? `${text.slice(0, Math.max(0, room - 1))}…` : text;
    column += text.length;
    if (room === 0 || shown.length === 0) continue;
    const style = `fill="${look.fill}"${look.bold ? ' font-weight="bold"' : ''}${look.dim ? ' opacity="0.6"' : ''}`;
    spans += `<tspan x="${(MARGIN + from * CELL.width).toFixed(1)}" ${style}>${escaped(shown)}</tspan>`;
  }
  return `<text y="${MARGIN + (index + 1) * CELL.height}" xml:space="preserve">${spans}</text>`;
}

async function recordDemo(): Promise<readonly string[]> {
  const demo = spawn(process.execPath, [join(ROOT, 'examples', 'demo.ts')], {
    env: { ...process.env, FORCE_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
    // A group of its own, so that all of it is told to stop, as Ctrl-C does.
    detached: true,
  });
  let output = '';
  demo.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const stop = setTimeout(() => {
    if (demo.pid !== undefined) process.kill(-demo.pid, 'SIGINT');
  }, RUNS_FOR_MS);
  const code = await new Promise<number | null>((resolve) => demo.once('close', resolve));
  clearTimeout(stop);
  if (code !== 0) throw new Error(`the demo ended with ${String(code)}: run it by hand, see why, try again`);
  return output.trimEnd().split('\n');
}

function draw(rows: readonly string[]): string {
  const width = Math.ceil(2 * MARGIN + COLUMNS * CELL.width);
  const height = 2 * MARGIN + (rows.length + 1) * CELL.height;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13">`,
    '<title>Output of the demo in a terminal</title>',
    `<rect width="${width}" height="${height}" rx="8" fill="#1c2128"/>`,
    ...rows.map(drawRow),
    '</svg>\n',
  ].join('\n');
}

const all = ['\u001B[1m$ npm run demo\u001B[22m', ...(await recordDemo())];
const rows =
  all.length <= ROWS.first + ROWS.last
    ? all
    : [...all.slice(0, ROWS.first), '\u001B[2m   …\u001B[22m', ...all.slice(-ROWS.last)];
await mkdir(join(PICTURE, '..'), { recursive: true });
await writeFile(PICTURE, draw(rows));
process.stdout.write(`${PICTURE}: ${rows.length} rows\n`);
