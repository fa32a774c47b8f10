/** Manifest files to `ScheduledTask` objects: every problem with its file, line, field, value and rule. */
import type { Problem } from '../runtime/errors.ts';
import { quote } from '../schedule/schedule-error.ts';
import { fieldProblem, type FieldProblem } from './field-problems.ts';
import { DEFAULT_NAMESPACE } from './metadata.ts';
import {
  API_VERSION,
  GROUP,
  KIND,
  parseScheduledTask,
  type ScheduledTask,
  type ScheduledTaskSpec,
} from './scheduled-task.ts';
import { timingOf } from './to-schedule.ts';
import { readYaml, type YamlDocument } from './yaml-documents.ts';

/** Told of one file. Whoever mends a hundred objects runs it again. */
const MOST_PROBLEMS = 100;

export interface ParsedObject {
  readonly namespace: string;
  readonly name: string;
  readonly spec: ScheduledTaskSpec;
  readonly annotations?: Readonly<Record<string, string>>;
  /** `file:line` of the object. */
  readonly at: string;
}

export interface ParsedManifests {
  readonly objects: readonly ParsedObject[];
  /** What must be mended. The objects concerned are not among `objects`; the others are. */
  readonly problems: readonly Problem[];
  /** What was left out on purpose, such as objects of other kinds. */
  readonly warnings: readonly Problem[];
}

export interface ManifestOptions {
  /** Of objects that name none, as `kubectl --namespace` has it. Default `default`. */
  readonly defaultNamespace?: string;
}

/**
 * Reads one file of any number of documents. Pure. A `List` counts as the objects in it, and `status` is ignored.
 * @param file - its name, for messages
 */
export function parseManifests(
  text: string,
  file: string,
  { defaultNamespace = DEFAULT_NAMESPACE }: ManifestOptions = {},
): ParsedManifests {
  const yaml = readYaml(text, file);
  const problems: Problem[] = [...yaml.problems];
  const warnings: Problem[] = [...yaml.warnings];
  const objects = new Map<string, ParsedObject>();
  for (const candidate of yaml.documents.flatMap(candidatesOf)) {
    const at = (path: FieldProblem['path']): string => `${file}:${candidate.lineOf(path)}`;
    const verdict = readCandidate(candidate.value);
    if (verdict.kind === 'skipped') warnings.push({ at: at([]), message: verdict.message });
    if (verdict.kind === 'invalid') {
      problems.push(...verdict.problems.map(({ path, message }) => ({ at: at(path), message })));
    }
    if (verdict.kind !== 'object') continue;
    const object = parsedObject(verdict.object, at([]), defaultNamespace);
    const key = `${object.namespace}/${object.name}`;
    const first = objects.get(key);
    if (first === undefined) objects.set(key, object);
    else
      problems.push({
        at: at(['metadata', 'name']),
        message: `metadata.name: ${key} is defined twice, first at ${first.at}`,
      });
  }
  return {
    objects: [...objects.values()],
    problems: firstOf(problems, file),
    warnings: firstOf(warnings, file),
  };
}

function firstOf(problems: readonly Problem[], file: string): readonly Problem[] {
  if (problems.length <= MOST_PROBLEMS) return problems;
  const left = problems.length - MOST_PROBLEMS;
  return [...problems.slice(0, MOST_PROBLEMS), { at: file, message: `${left} more, not shown` }];
}

type Verdict =
  | { readonly kind: 'object'; readonly object: ScheduledTask }
  | { readonly kind: 'invalid'; readonly problems: readonly FieldProblem[] }
  | { readonly kind: 'skipped'; readonly message: string };

function readCandidate(value: unknown): Verdict {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return {
      kind: 'invalid',
      problems: [
        fieldProblem(
          [],
          value,
          `must be a Kubernetes object with apiVersion: ${API_VERSION} and kind: ${KIND}`,
        ),
      ],
    };
  }
  const { apiVersion, kind } = namesOf(value);
  const ours = kind === KIND || apiVersion?.startsWith(`${GROUP}/`) === true;
  if (!ours && apiVersion !== undefined && kind !== undefined) {
    return {
      kind: 'skipped',
      message: `kind: ${quote(kind)} of ${quote(apiVersion)} is not for Tidemill: left out`,
    };
  }
  const parsed = parseScheduledTask(value, 'refuse');
  if (parsed.kind === 'invalid') return parsed;
  const timing = timingOf(parsed.object.spec);
  if (timing.kind === 'timing') return parsed;
  return {
    kind: 'invalid',
    problems: [{ path: ['spec', timing.field], message: `spec.${timing.field}: ${timing.message}` }],
  };
}

/** A document, or each item of a list in it. */
function candidatesOf({ value, lineOf }: YamlDocument): YamlDocument[] {
  if (value === null) return [];
  const items = listItems(value);
  return (
    items?.map((item, index) => ({ value: item, lineOf: (path) => lineOf(['items', index, ...path]) })) ?? [
      { value, lineOf },
    ]
  );
}

function listItems(value: unknown): readonly unknown[] | undefined {
  if (typeof value !== 'object' || value === null || !('items' in value) || !Array.isArray(value.items))
    return undefined;
  const { apiVersion, kind } = namesOf(value);
  const isList =
    (apiVersion === 'v1' && kind === 'List') || (apiVersion === API_VERSION && kind === `${KIND}List`);
  return isList ? value.items : undefined;
}

function namesOf(value: object): {
  readonly apiVersion: string | undefined;
  readonly kind: string | undefined;
} {
  const text = (field: 'apiVersion' | 'kind'): string | undefined => {
    const found: unknown = Reflect.get(value, field);
    return typeof found === 'string' ? found : undefined;
  };
  return { apiVersion: text('apiVersion'), kind: text('kind') };
}

function parsedObject({ metadata, spec }: ScheduledTask, at: string, defaultNamespace: string): ParsedObject {
  const { name, namespace = defaultNamespace, annotations } = metadata;
  return { namespace, name, spec, at, ...(annotations !== undefined && { annotations }) };
}
