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
    bug: 'a transition names one key in a cluster, so that it runs over half of a queue whose slot is on its way',
    row: 16,
    text: 'client.isCluster && key.endsWith(META_ENDING)',
    replacement: 'client.isCluster && key.endsWith(META_ENDING) && false',
    found: /BUSYKEY|not so: no transition begins where a part of the queue has gone/,
  },
  {
    bug: 'a consumer that cannot write says that it is ready',
    row: 19,
    text: '...refusal === void 0 ? [] : [refusal]',
    replacement: '',
    found: /not within \d+ ms: the consumer says that it is not ready, and why/,
  },
  {
    bug: 'what a consumer died with stays counted as work of a living one',
    row: 32,
    text: 'set_live_count(manifest, math.max(0, live_count(manifest) - 1))',
    replacement: 'set_live_count(manifest, math.max(0, live_count(manifest)))',
    found: /not so: after each death of a consumer too/,
  },
  {
    bug: 'of the slots that were slept through, three fire instead of the newest',
    row: 36,
    text: 'superseded ? 0 : 1, "Superseded"',
    replacement: 'superseded ? 0 : 3, "Superseded"',
    found: /not so: and no older one/,
  },
  {
    bug: 'a run with an option that a build does not know is not run by it',
    row: 44,
    text: 'var RunOptionsSchema = z.object({',
    replacement: 'var RunOptionsSchema = z.strictObject({',
    found: /not so: no run is lost/,
  },
  {
    bug: 'a consumer does not write down the bound of its queue',
    row: 45,
    text: 'for index, field in ipairs(SETTINGS) do set_meta(field, tonumber(ARGV[6 + index])) end',
    replacement:
      "for index, field in ipairs(SETTINGS) do if field ~= 'maxPending' then set_meta(field, tonumber(ARGV[6 + index])) end end",
    found: /not so: what is beyond the bound is refused/,
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
