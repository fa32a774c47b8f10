/** What the growth benches found, as the tables of docs/reference/benchmarks.md. */
import type { z } from 'zod';
import { AXES, type Axis, type Growth, type GrowthTicks, type Point, QUEUES } from './growth.ts';

type Cell = string | number;

const HEADS: Readonly<Record<Axis, string>> = {
  concurrency: 'concurrency of the consumer',
  lanes: 'lanes',
  backlog: 'waiting at the start',
};

const NAMES: Readonly<Record<Point['queue'], string>> = { tidemill: 'Tidemill', bullmq: 'BullMQ' };

/** One table in Markdown for each axis: runs a second of each queue, without and with a journal. */
export function throughputTables({ points }: z.output<typeof Growth>): readonly string[] {
  return AXES.map((axis) => {
    const own = points.filter((point) => point.axis === axis);
    const queues = QUEUES.filter((name) => own.some(({ queue }) => queue === name));
    const columns = queues.flatMap((queue) => [false, true].map((aof) => ({ queue, aof })));
    const places = [...new Set(own.map(({ at }) => at))].sort((left, right) => left - right);
    const perSecond = (at: number, { queue, aof }: Pick<Point, 'queue' | 'aof'>): Cell =>
      own.find((point) => point.at === at && point.queue === queue && point.aof === aof)?.perSecond ?? '—';
    return markdownTable(
      [HEADS[axis], ...queues.flatMap((queue) => [NAMES[queue], 'with a journal'])],
      places.map((at) => [at, ...columns.map((column) => perSecond(at, column))]),
    );
  });
}

/** Lateness from slot to first line, by how many schedules there are. */
export function latenessTable({ points, everySeconds }: z.output<typeof GrowthTicks>): string {
  return markdownTable(
    ['schedules', 'slots a second', 'p50 ms', 'p99 ms', 'max ms', 'missed', 'doubled'],
    points.map(({ schedules, p50Ms, p99Ms, maxMs, missed, doubled }) => [
      ...[schedules, schedules / everySeconds, p50Ms, p99Ms, maxMs, missed, doubled],
    ]),
  );
}

function markdownTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const shown = (cell: Cell): string => (typeof cell === 'number' ? cell.toLocaleString('en-GB') : cell);
  const line = (cells: readonly Cell[]): string => `| ${cells.map(shown).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
