/** Bugs that are planted, one at a time, in a copy of the build: the row that is named must find each, by the sentence given. */
import { BuildCopy } from '../support/build-copy.ts';
import { ROWS } from './registry.ts';

export interface Plant {
  readonly bug: string;
  readonly row: number;
  readonly text: string;
  readonly replacement: string;
  /** What the row must say. A row that falls over for another reason has found nothing. */
  readonly found: RegExp;
}

export const PLANTS: readonly Plant[] = [
  {
    bug: 'a recovery pass ends consumers whose leases are not over',
    row: 2,
    text: "ipairs(call('ZRANGE', LEASES, '-inf', NOW_TEXT,",
    replacement: "ipairs(call('ZRANGE', LEASES, '-inf', '+inf',",
    found: /not so: none began elsewhere before the lease could be over/,
  },
  {
    bug: 'a consumer does not compare what Redis says it holds with what it runs',
    row: 10,
    text: 'await reconcileHeld({',
    replacement: 'await Promise.resolve({',
    found: /not within \d+ ms: the run begins/,
  },
  {
    bug: 'a consumer says that it is ready whatever is wrong',
    row: 11,
    text: '"/readyz": () => checkReply(ready())',
    replacement: '"/readyz": () => checkReply([])',
    found: /not within \d+ ms: it is not ready/,
  },
  {
    bug: 'a scheduler that stops keeps its lock',
    row: 25,
    text: "return redis.call('DEL', KEYS[1])",
    replacement: 'return 1',
    found: /not so: another leads within 5 s/,
  },
];

export interface PlantResult extends Plant {
  readonly isFound: boolean;
  readonly said: readonly string[];
}

export async function tryPlant(plant: Plant): Promise<PlantResult> {
  const row = ROWS.find((candidate) => candidate.row === plant.row);
  if (row === undefined) throw new Error(`no row ${plant.row}`);
  using build = new BuildCopy();
  build.replace(plant.text, plant.replacement, 1);
  const said = await row.measure('short', { build }).then(
    ({ broken }) => broken,
    (error: unknown) => [String(error)],
  );
  return { ...plant, said, isFound: said.some((sentence) => plant.found.test(sentence)) };
}
