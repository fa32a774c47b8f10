/** The settings of child processes, in which CPU-bound tasks run, and what they become for the pool. */
import { z } from 'zod';
import { CHILD_RIGHTS, type ChildPermissions, type ChildRight } from '../consumer/children/permissions.ts';
import { optionalSetting, type Rule, rule } from '../runtime/config.ts';
import { bool, nonEmptyList, optionalBytes } from './setting-kinds.ts';

const childHeap = optionalBytes(
  {
    flag: 'child-heap',
    argument: 'bytes',
    help: 'most heap that a child process may use; a run that needs more ends as HeapOutOfMemory',
    defaultNote: 'as Node decides',
  },
  16 * 1_024 ** 2,
);
const childRestricted = bool({
  flag: 'child-restricted',
  argument: 'bool',
  help: 'whether child processes may only read what they load, and write and start nothing: true or false',
  default: 'false',
});
const paths = (flag: string, help: string) =>
  optionalSetting(
    {
      flag,
      argument: 'path',
      help: `${help}; several by commas or by repeating the flag`,
      list: true,
      rare: true,
    },
    'must be the path of a file or folder, or several separated by commas',
    nonEmptyList,
  );
const childRead = paths('child-read', 'file or folder that restricted child processes may read besides');
const childWrite = paths('child-write', 'file or folder that restricted child processes may write');
const childAllow = optionalSetting(
  {
    flag: 'child-allow',
    argument: 'right',
    help: `what restricted child processes may do besides: ${CHILD_RIGHTS.join(', ')}; several by commas or by repeating the flag`,
    list: true,
    rare: true,
  },
  `must be one of ${CHILD_RIGHTS.join(', ')}, or several separated by commas`,
  (text) => {
    const wanted = nonEmptyList(text) ?? [];
    const rights = wanted.flatMap((word): readonly ChildRight[] =>
      CHILD_RIGHTS.filter((right) => right === word),
    );
    return wanted.length > 0 && rights.length === wanted.length ? rights : undefined;
  },
);

export const CHILDREN = { childHeap, childRestricted, childRead, childWrite, childAllow };
type Restriction = Omit<z.output<z.ZodObject<typeof CHILDREN>>, 'childHeap'>;

const NEEDS = 'needs --child-restricted true: without it child processes may do all that this process may';
export const CHILD_RULES: readonly Rule[] = [
  rule('childRead', z.object({ childRead, childRestricted }), (values) =>
    values.childRead !== undefined && !values.childRestricted ? NEEDS : undefined,
  ),
  rule('childWrite', z.object({ childWrite, childRestricted }), (values) =>
    values.childWrite !== undefined && !values.childRestricted ? NEEDS : undefined,
  ),
  rule('childAllow', z.object({ childAllow, childRestricted }), (values) =>
    values.childAllow !== undefined && !values.childRestricted ? NEEDS : undefined,
  ),
];

export function childPermissions(settings: Restriction): ChildPermissions | undefined {
  const { childRestricted: restricted, childRead: read, childWrite: write, childAllow: allow } = settings;
  return restricted ? { read: read ?? [], write: write ?? [], allow: allow ?? [] } : undefined;
}
