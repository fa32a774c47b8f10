/** The table of values in a chart's README, made from the comments of its `values.yaml`. */
import { isMap, isNode, isScalar, type Pair, parseDocument, stringify, type YAMLMap } from 'yaml';

const BEGIN = '<!-- values: written by `npm run generate` from values.yaml -->';
const END = '<!-- /values -->';

export interface ValueRow {
  readonly path: string;
  readonly default: string;
  readonly meaning: string;
}

/** Each value that a comment explains; inside one whose parts have no comments, Kubernetes decides. */
export function valueRows(valuesYaml: string): readonly ValueRow[] {
  const { contents } = parseDocument(valuesYaml);
  return isMap(contents) ? rowsOf(contents, '') : [];
}

function rowsOf(map: YAMLMap, prefix: string): readonly ValueRow[] {
  return map.items.flatMap((pair, index) => {
    const path = `${prefix}${keyOf(pair)}`;
    // The comment above the first key of a map stands at the map.
    const meaning = words(index === 0 && prefix !== '' ? map.commentBefore : commentOf(pair));
    const { value } = pair;
    const isGroup = isMap(value) && hasExplained(value);
    const row = { path, default: isGroup ? '' : defaultOf(value), meaning };
    return [...(meaning === '' ? [] : [row]), ...(isGroup ? rowsOf(value, `${path}.`) : [])];
  });
}

const keyOf = ({ key }: Pair): string => (isScalar(key) ? String(key.value) : '');
const commentOf = ({ key }: Pair): string | null | undefined =>
  isScalar(key) ? key.commentBefore : undefined;
const hasExplained = (map: YAMLMap): boolean =>
  map.items.some(
    (pair, index) =>
      words(index === 0 ? map.commentBefore : commentOf(pair)) !== '' ||
      (isMap(pair.value) && hasExplained(pair.value)),
  );

/** The last paragraph of a comment: one before it is about the file. */
function words(comment: string | null | undefined): string {
  return (
    (comment ?? '')
      .split(/\n\s*\n/)
      .at(-1)
      ?.replace(/\s*\n\s*/g, ' ')
      .trim() ?? ''
  );
}

function defaultOf(value: unknown): string {
  const plain: unknown = isNode(value) ? value.toJSON() : value;
  const text = stringify(plain, { collectionStyle: 'flow', lineWidth: 0, singleQuote: true }).trim();
  return `\`${text === '' ? "''" : text.replace(/ {2,}|\n/g, ' ')}\``;
}

/** The page with a fresh table between its marks. */
export function withValues(
  readme: string,
  valuesYaml: string,
  table: (rows: readonly (readonly string[])[]) => string,
): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`the README must hold the lines ${BEGIN} and ${END}`);
  const rows = valueRows(valuesYaml).map((row) => [`\`${row.path}\``, row.default, row.meaning]);
  return `${readme.slice(0, begin)}${BEGIN}\n\n${table(rows)}\n${readme.slice(end)}`;
}
