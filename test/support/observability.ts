/** The alerts and the dashboard of the chart, as their tests read them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { ROOT } from './markdown.ts';

export const ALERTS_FILE = join(ROOT, 'helm/tidemill/files/alerts.yaml');
export const ALERT_TESTS = join(ROOT, 'test/alerts');
export const RUNBOOKS = join(ROOT, 'docs/runbooks');

const Alert = z.strictObject({
  alert: z.string(),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
  annotations: z.strictObject({ summary: z.string(), description: z.string(), runbook_url: z.url() }),
});
export type Alert = z.output<typeof Alert>;
const Rules = z.object({ groups: z.array(z.object({ name: z.string(), rules: z.array(Alert) })) });

export function alerts(): readonly Alert[] {
  return Rules.parse(parse(readFileSync(ALERTS_FILE, 'utf8'))).groups.flatMap(({ rules }) => rules);
}

const Cases = z.object({
  tests: z.array(
    z.object({
      name: z.string(),
      alert_rule_test: z.array(z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()) })),
    }),
  ),
});

export interface AlertCase {
  readonly alert: string;
  readonly fires: boolean;
}

export function alertTestFiles(): readonly string[] {
  return readdirSync(ALERT_TESTS).filter((name) => name.endsWith('.test.yaml'));
}

export function alertCases(): readonly AlertCase[] {
  return alertTestFiles()
    .flatMap((name) => Cases.parse(parse(readFileSync(join(ALERT_TESTS, name), 'utf8'))).tests)
    .flatMap(({ alert_rule_test }) => alert_rule_test)
    .map(({ alertname, exp_alerts }) => ({ alert: alertname, fires: exp_alerts.length > 0 }));
}

const Panel = z.object({
  id: z.number(),
  type: z.string(),
  title: z.string(),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  targets: z.array(z.object({ expr: z.string() })).default([]),
});
const Dashboard = z.object({
  uid: z.string(),
  schemaVersion: z.number(),
  templating: z.object({
    list: z.array(
      z.object({ name: z.string(), query: z.union([z.string(), z.object({ query: z.string() })]) }),
    ),
  }),
  panels: z.array(Panel),
});

export function dashboard(): z.output<typeof Dashboard> {
  return Dashboard.parse(JSON.parse(readFileSync(join(ROOT, 'helm/tidemill/files/dashboard.json'), 'utf8')));
}

/** Every expression of the dashboard, of its panels and of what can be chosen above them, with its place. */
export function dashboardQueries(): readonly { readonly at: string; readonly expr: string }[] {
  const { panels, templating } = dashboard();
  return [
    ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ at: title, expr }))),
    ...templating.list.flatMap(({ name, query }) => {
      const match = /^label_values\((\w+), (\w+)\)$/.exec(typeof query === 'string' ? query : query.query);
      return match === null ? [] : [{ at: `variable ${name}`, expr: `count by (${match[2]}) (${match[1]})` }];
    }),
  ];
}

/** The dashboard's own variables as Grafana would fill them in: promtool knows only PromQL. */
export function asPromQl(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, '.*');
}
