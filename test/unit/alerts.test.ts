/** Alerts, runbooks and dashboard belong together: each alert fires and stays silent in a case, has a page, and asks for what is exported. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { stringify } from 'yaml';
import { CATALOGUE } from '../../src/telemetry/catalogue.ts';
import type { MetricDefinition } from '../../src/telemetry/metric-definition.ts';
import { codeBlocks, ROOT } from '../support/markdown.ts';
import {
  ALERT_TESTS,
  alertCases,
  ALERTS_FILE,
  alerts,
  alertTestFiles,
  asPromQl,
  dashboard,
  dashboardQueries,
  RUNBOOKS,
} from '../support/observability.ts';
import { problemsOf, referencesOf, type Exported } from '../support/promql.ts';
import { promtool } from '../support/promtool.ts';

const ALERTS = alerts();
const NAMES = ALERTS.map(({ alert }) => alert);
const QUERIES = dashboardQueries();

/** What of Node and of the process is asked for beside our own. */
const DEFAULTS = [
  'nodejs_eventloop_lag_p99_seconds',
  'process_resident_memory_bytes',
  'process_cpu_seconds_total',
  'process_start_time_seconds',
];

/** Names and labels of the catalogue; values are compared with a live process in test/e2e/kube/observability.test.ts. */
function inCatalogue(metric: string): readonly string[] | undefined {
  const catalogue: Readonly<Record<string, MetricDefinition>> = CATALOGUE;
  if (DEFAULTS.includes(metric)) return [];
  const histogram = metric.replace(/_(bucket|sum|count)$/, '');
  return (catalogue[metric] ?? catalogue[histogram])?.labels;
}

describe('alerts', () => {
  test('are rules that Prometheus takes', () => {
    const { ok, text } = promtool(['check', 'rules', '--lint-fatal', ALERTS_FILE]);
    assert.ok(ok, text);
  });

  for (const file of alertTestFiles()) {
    test(`fire, or do not, as ${file} says`, () => {
      const { ok, text } = promtool(['test', 'rules', join(ALERT_TESTS, file)]);
      assert.ok(ok, text);
    });
  }

  test('each have a case in which they fire, and one in which they do not', () => {
    const cases = alertCases();
    for (const name of NAMES) {
      const own = cases.filter(({ alert }) => alert === name);
      assert.ok(
        own.some(({ fires }) => fires),
        `${name} fires in no case`,
      );
      assert.ok(
        own.some(({ fires }) => !fires),
        `${name} is silent in no case`,
      );
    }
    const unknown = cases.filter(({ alert }) => !NAMES.includes(alert));
    assert.deepEqual(unknown, [], 'cases of alerts that are not there');
  });

  test('have a name of their own', () => {
    assert.equal(new Set(NAMES).size, NAMES.length);
    for (const name of NAMES) assert.match(name, /^Tidemill[A-Z][A-Za-z]+$/);
  });

  test('reach people with the namespace of the object: the chart scrapes with honorLabels', () => {
    const monitor = readFileSync(join(ROOT, 'helm/tidemill/templates/servicemonitor.yaml'), 'utf8');
    assert.match(monitor, /^\s*honorLabels: true$/m);
  });
});

describe('runbooks', () => {
  const pages = readdirSync(RUNBOOKS).filter((name) => name !== 'README.md');

  test('are there for each alert, and for nothing else', () => {
    assert.deepEqual(pages.map((name) => basename(name, '.md')).toSorted(), NAMES.toSorted());
  });

  test('are where the alerts say, and in the index', () => {
    const index = readFileSync(join(RUNBOOKS, 'README.md'), 'utf8');
    for (const { alert, annotations } of ALERTS) {
      const { pathname } = new URL(annotations.runbook_url);
      const [, path = ''] = /^\/tidemill\/tidemill\/blob\/main\/(.*)$/.exec(pathname) ?? [];
      assert.ok(existsSync(join(ROOT, path)), `${alert}: ${path}`);
      assert.equal(basename(path), `${alert}.md`);
      assert.ok(index.includes(`(${alert}.md)`), `${alert} is in the index`);
    }
  });

  for (const name of pages) {
    const page = readFileSync(join(RUNBOOKS, name), 'utf8');
    test(`${name} says what it means, what to look at, and what to do`, () => {
      const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading);
      assert.deepEqual(headings, [basename(name, '.md'), 'What it means', 'What to look at', 'What to do']);
    });

    test(`${name} names commands and queries that exist`, () => {
      const blocks = codeBlocks(page);
      const commands = blocks
        .filter(({ language }) => language === 'sh')
        .flatMap(({ text }) => text.split('\n'));
      for (const command of commands)
        assert.match(
          command,
          /^(tidemill|redis-cli|kubectl (-n \w+ )?(get|describe|logs|top|auth|tidemill)) /,
          command,
        );
      const queries = blocks
        .filter(({ language }) => language === 'promql')
        .flatMap(({ text }) => text.split('\n'));
      const unknown = queries
        .flatMap((expr) => referencesOf(expr).selectors)
        .filter(({ metric }) => metric !== 'up' && inCatalogue(metric) === undefined);
      assert.deepEqual(unknown, []);
      assert.ok(commands.length + queries.length > 0);
    });
  }
});

describe('the dashboard', () => {
  test('asks in the order of the questions of someone on call', () => {
    const rows = dashboard().panels.filter(({ type }) => type === 'row');
    assert.deepEqual(
      rows.map(({ title }) => title),
      ['Is anything late?', 'Is anything failing?', 'Is anything stuck?', 'Is capacity short?'],
    );
  });

  test('has panels that do not cover each other', () => {
    const taken = new Set<string>();
    for (const {
      title,
      gridPos: { x, y, w, h },
    } of dashboard().panels) {
      assert.ok(x + w <= 24, title);
      for (let column = x; column < x + w; column += 1)
        for (let line = y; line < y + h; line += 1) {
          assert.ok(!taken.has(`${column},${line}`), `${title} covers another panel`);
          taken.add(`${column},${line}`);
        }
    }
    const ids = dashboard().panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
  });

  test('has queries that Prometheus can read', () => {
    const rules = QUERIES.map(({ expr }, index) => ({ record: `query:${index}`, expr: asPromQl(expr) }));
    const folder = mkdtempSync(join(tmpdir(), 'tidemill-queries-'));
    const file = join(folder, 'queries.yaml');
    writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules }] }));
    const { ok, text } = promtool(['check', 'rules', file]);
    rmSync(folder, { recursive: true });
    assert.ok(ok, text);
  });

  test('and the alerts ask for metrics and labels of the catalogue', () => {
    const all = [...QUERIES, ...ALERTS.map(({ alert, expr }) => ({ at: alert, expr }))];
    const wrong = all.flatMap(({ at, expr }) =>
      referencesOf(expr).selectors.flatMap(({ metric, matchers }) => {
        const labels = inCatalogue(metric);
        if (labels === undefined) return [`${at}: no metric ${metric}`];
        return matchers.flatMap(({ label }) =>
          label === 'namespace' || labels.includes(label) ? [] : [`${at}: ${metric} has no label ${label}`],
        );
      }),
    );
    assert.deepEqual(wrong, []);
    assert.ok(QUERIES.length > 30);
  });
});

describe('a query that asks for what is not exported', () => {
  const exported: Exported = new Map([
    ['a_total', new Map([['state', new Set(['on'])]])],
    ['b_seconds', new Map()],
  ]);
  const cases: Readonly<Record<string, readonly string[]>> = {
    'sum by (state) (rate(a_total{state="on"}[5m])) / 2 > 0.5': [],
    'histogram_quantile(0.9, sum by (le, job) (rate(b_seconds_bucket[$__rate_interval])))': [],
    'max(a_total{state=~"on|off"})': ['a_total has no state="off"'],
    'a_total{colour="red"}': ['a_total has no label colour'],
    'a_total and on (job) c_total': ['no metric c_total'],
    'sum by (queue) (a_total)': ['no metric in it has the label queue'],
    'a_total{state=~"$choice"} offset 5m': [],
  };
  for (const [expr, expected] of Object.entries(cases)) {
    test(`is noticed in ${expr}`, () => assert.deepEqual(problemsOf(expr, exported), expected));
  }
});
