/** Which metrics and labels a PromQL expression names: enough of the language to compare dashboards and alerts with what is exported. */

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly op: string; readonly value: string }[];
}

export interface References {
  readonly selectors: readonly Selector[];
  /** Labels in `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`. */
  readonly groupings: readonly string[];
}

const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*")|(\[[^\]]*\])|([A-Za-z_:][A-Za-z0-9_:]*)|(\d[\w.]*)|(=~|!~|!=|==|>=|<=|[-+*/%^=<>(){},]))/y;
const LABEL_LISTS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const KEYWORDS = new Set(['and', 'or', 'unless', 'offset', 'bool', 'inf', 'nan']);
const AGGREGATIONS = new Set([
  ...['sum', 'min', 'max', 'avg', 'group', 'stddev', 'stdvar', 'count', 'count_values'],
  ...['bottomk', 'topk', 'quantile'],
]);

function tokens(expr: string): readonly string[] {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < expr.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(expr);
    if (match === null) throw new Error(`not PromQL at ${at}: ${expr.slice(at, at + 40)}`);
    found.push(match[0].trim());
  }
  return found;
}

/** @throws Error for what is no PromQL at all; whether it is right, promtool says */
export function referencesOf(expr: string): References {
  const all = tokens(expr);
  const selectors: Selector[] = [];
  const groupings: string[] = [];
  for (let at = 0; at < all.length; at += 1) {
    const word = all[at] ?? '';
    const next = all[at + 1];
    if (!/^[A-Za-z_:]/.test(word) || KEYWORDS.has(word)) continue;
    if (LABEL_LISTS.has(word)) {
      const end = all.indexOf(')', at);
      groupings.push(...all.slice(at + 2, end).filter((token) => token !== ','));
      at = end;
    } else if (next === '{') {
      const end = all.indexOf('}', at);
      selectors.push({ metric: word, matchers: matchersOf(all.slice(at + 2, end)) });
      at = end;
    } else if (next !== '(' && !AGGREGATIONS.has(word)) {
      selectors.push({ metric: word, matchers: [] });
    }
  }
  return { selectors, groupings };
}

function matchersOf(inBraces: readonly string[]): Selector['matchers'] {
  const found = [];
  for (let at = 0; at + 2 < inBraces.length; at += 4) {
    const [label = '', op = '', value = ''] = inBraces.slice(at, at + 3);
    found.push({ label, op, value: value.slice(1, -1) });
  }
  return found;
}

/** Family → label → values that were seen. */
export type Exported = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;

/** What Prometheus adds at the scrape. */
const OF_THE_SCRAPE = new Set(['job', 'instance', 'namespace', 'pod']);

/** `x_bucket` is a part of the histogram `x`. */
function familyOf(metric: string, exported: Exported): string {
  const base = metric.replace(/_(bucket|sum|count)$/, '');
  return exported.has(metric) || !exported.has(base) ? metric : base;
}

/** Why an expression asks for what nobody exports; empty when it does not. */
export function problemsOf(expr: string, exported: Exported): readonly string[] {
  const { selectors, groupings } = referencesOf(expr);
  const problems: string[] = [];
  const known = new Set(OF_THE_SCRAPE);
  for (const { metric, matchers } of selectors) {
    const labels = exported.get(familyOf(metric, exported));
    if (labels === undefined) {
      problems.push(`no metric ${metric}`);
      continue;
    }
    for (const label of labels.keys()) known.add(label);
    if (metric.endsWith('_bucket')) known.add('le');
    for (const { label, op, value } of matchers) {
      if (OF_THE_SCRAPE.has(label) && !labels.has(label)) continue;
      const values = labels.get(label);
      if (values === undefined) problems.push(`${metric} has no label ${label}`);
      // A choice of the reader's (`$queue`) is no value; any other must be one that can occur.
      else if (!value.includes('$') && op.startsWith('='))
        problems.push(
          ...alternatives(op, value).flatMap((one) =>
            values.has(one) ? [] : [`${metric} has no ${label}="${one}"`],
          ),
        );
    }
  }
  const strangers = groupings.filter((label) => !known.has(label));
  return [...problems, ...strangers.map((label) => `no metric in it has the label ${label}`)];
}

const alternatives = (op: string, value: string): readonly string[] =>
  op === '=~' ? value.split('|') : [value];

/** What a text in Prometheus's format exports. */
export function exportedBy(texts: readonly string[]): Exported {
  const found = new Map<string, Map<string, Set<string>>>();
  for (const line of texts.join('\n').split('\n')) {
    const match = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? \S+$/i.exec(line);
    if (match === null) continue;
    const [, name = '', labels = ''] = match;
    // The parts of a histogram are told by `le`, which only its buckets have.
    const family = /[{,]le="/.test(line) ? name.replace(/_bucket$/, '') : name;
    const known = found.get(family) ?? new Map<string, Set<string>>();
    found.set(family, known);
    for (const [, label = '', value = ''] of labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/gi)) {
      if (label === 'le') continue;
      known.set(label, (known.get(label) ?? new Set()).add(value));
    }
  }
  return found;
}
