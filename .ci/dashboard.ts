/** The Grafana dashboard as Grafana reads it: its rows stand in the order of the questions that someone on call asks. */
import { FAILING, LATE } from './dashboard-health.ts';
import { CAPACITY, STUCK } from './dashboard-load.ts';
import type { Panel, Row } from './dashboard-panel.ts';

const ROWS: readonly Row[] = [LATE, FAILING, STUCK, CAPACITY];

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const WIDTH = 24;
const SIZES = { stat: { w: 6, h: 4 }, timeseries: { w: 12, h: 8 }, table: { w: 12, h: 8 } } as const;

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

interface Placed {
  readonly panel: Panel;
  readonly at: Place;
}

/** From left to right, in a new line when it is full. */
function place(
  panels: readonly Panel[],
  fromY: number,
): { readonly placed: readonly Placed[]; readonly endY: number } {
  let [x, y, lineHeight] = [0, fromY, 0];
  const placed = panels.map((panel) => {
    const { w, h } = SIZES[panel.kind];
    if (x + w > WIDTH) [x, y, lineHeight] = [0, y + lineHeight, 0];
    const at = { x, y, w, h };
    x += w;
    lineHeight = Math.max(lineHeight, h);
    return { panel, at };
  });
  return { placed, endY: y + lineHeight };
}

function fieldConfig({ kind, unit, alarm, stacked }: Panel): object {
  const steps = [
    { color: 'green', value: null },
    ...(alarm === undefined ? [] : [{ color: 'red', value: alarm }]),
  ];
  return {
    defaults: {
      unit,
      min: 0,
      thresholds: { mode: 'absolute', steps },
      ...(kind === 'timeseries' && {
        custom: {
          fillOpacity: stacked === true ? 30 : 5,
          showPoints: 'never',
          stacking: { mode: stacked === true ? 'normal' : 'none' },
          thresholdsStyle: { mode: alarm === undefined ? 'off' : 'line' },
        },
      }),
    },
    overrides: [],
  };
}

const OPTIONS = {
  stat: { colorMode: 'value', graphMode: 'area', reduceOptions: { calcs: ['lastNotNull'] } },
  timeseries: {
    legend: { displayMode: 'list', placement: 'bottom' },
    tooltip: { mode: 'multi', sort: 'desc' },
  },
  table: { showHeader: true },
} as const;

function panelJson(panel: Panel, id: number, gridPos: Place): object {
  const { kind, title, description, queries } = panel;
  return {
    ...{ id, type: kind, title, description, datasource: DATASOURCE, gridPos },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      ...{ datasource: DATASOURCE, expr, legendFormat: legend },
      ...(kind === 'table' ? { instant: true, format: 'table' } : { range: true }),
    })),
    fieldConfig: fieldConfig(panel),
    options: OPTIONS[kind],
  };
}

function panels(): readonly object[] {
  const made: object[] = [];
  let y = 0;
  for (const { title, panels: inRow } of ROWS) {
    made.push({
      ...{ id: made.length + 1, type: 'row', title, collapsed: false, panels: [] },
      gridPos: { x: 0, y, w: WIDTH, h: 1 },
    });
    const { placed, endY } = place(inRow, y + 1);
    for (const { panel, at } of placed) made.push(panelJson(panel, made.length + 1, at));
    y = endY;
  }
  return made;
}

const choice = (name: string, label: string, query: string): object => ({
  ...{ name, label, type: 'query', datasource: DATASOURCE, query: { query, refId: name }, definition: query },
  ...{ refresh: 2, sort: 1, multi: true, includeAll: true, allValue: '.*' },
  current: { selected: true, text: ['All'], value: ['$__all'] },
});

/** Without what belongs to one instance of Grafana: no numeric id, no version, no address of a data source. */
export function dashboard(): object {
  return {
    uid: 'tidemill',
    title: 'Tidemill',
    description: 'Is anything late, is anything failing, is anything stuck, is capacity short?',
    tags: ['tidemill'],
    schemaVersion: 41,
    editable: true,
    graphTooltip: 1,
    time: { from: 'now-3h', to: 'now' },
    refresh: '30s',
    timezone: 'browser',
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
        choice('install', 'Install', 'label_values(tidemill_queue_depth, namespace)'),
        choice('queue', 'Queue', 'label_values(tidemill_queue_depth, queue)'),
        choice('task', 'Task', 'label_values(tidemill_runs_started_total, task)'),
      ],
    },
    annotations: { list: [] },
    links: [
      {
        ...{ title: 'Runbooks', type: 'link', targetBlank: true },
        url: 'https://github.com/tidemill/tidemill/tree/main/docs/runbooks',
      },
    ],
    panels: panels(),
  };
}
