/** The commands as scripts use them: against a real Redis, with a consumer and a scheduler as processes of their own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CommandResult, tidemill } from '../../support/fake-io.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/cli');
const TASKS = join(FIXTURES, 'tasks.ts');
const SCHEDULES = join(FIXTURES, 'schedules');

let redis: RedisServer;
let consumer: TidemillProcess;
let scheduler: TidemillProcess;

const run = (...args: readonly string[]): Promise<CommandResult> =>
  tidemill(args, { environment: { TIDEMILL_REDIS_URL: redis.url }, cwd: FIXTURES });

/** Where a process serves its probes. */
async function httpOf(process: TidemillProcess): Promise<string> {
  const { http } = JSON.parse(await process.line(/"msg":"\w+ started"/)) as { http: string };
  return http.replace('0.0.0.0', '127.0.0.1');
}

before(async () => {
  redis = await RedisServer.start();
  const environment = { TIDEMILL_REDIS_URL: redis.url, TIDEMILL_HTTP_PORT: '0' };
  consumer = new TidemillProcess(
    ['consumer', '--tasks', TASKS, '--queue', 'default,slow', '--drain', '1s'],
    environment,
  );
  scheduler = new TidemillProcess(['scheduler', SCHEDULES, '--log-level', 'debug'], environment);
  const http = await httpOf(consumer);
  await until('the consumer is ready', async () => (await fetch(`${http}/readyz`)).status === 200);
  await scheduler.line(/"msg":"slot fired"/);
});

after(async () => {
  await consumer[Symbol.asyncDispose]();
  await scheduler[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

describe('run', () => {
  test('enqueues, waits, and prints the result on stdout', async () => {
    const { code, stdout, stderr } = await run('run', 'greet', '-p', 'name=7', '-p', 'then=true', '--wait');
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '{"greeting":"hello 7"}\n');
    assert.match(stderr, /greet succeeded in /);
  });

  test('a run that fails ends with 1 and says why', async () => {
    const { code, stdout, stderr } = await run('run', 'broken', '--wait');
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /broken failed in .*: Error: always broken/);
  });

  test('with an id of its own the second is a duplicate', async () => {
    const id = `once-${process.pid}`;
    assert.equal(
      ((await run('run', 'greet', '--id', id, '--json')).json() as { outcome: string }).outcome,
      'enqueued',
    );
    assert.equal(
      ((await run('run', 'greet', '--id', id, '--json')).json() as { outcome: string }).outcome,
      'duplicate',
    );
  });

  test('an unknown task and wrong params are refused before anything is enqueued', async () => {
    const unknown = await run('run', 'gret');
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /knows a task "gret" \(did you mean greet\?\)/);
    const wrong = await run('run', 'greet', '-p', 'nam=x');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /params/);
  });

  test('a wait that takes too long ends with 1 and says that the run goes on', async () => {
    const { code, stderr } = await run('run', 'wait', '--wait', '--timeout', '200ms');
    assert.equal(code, 1);
    assert.match(stderr, /has not ended within 200ms: it is still in the queue/);
  });
});

describe('runs', () => {
  test('a failed run is found, shown, redriven; a running one is cancelled', async () => {
    const { id } = (await run('run', 'broken', '--json')).json() as { id: string };
    await until('it has failed', async () => (await run('runs', 'get', id)).stdout.includes('always broken'));
    const listed = (await run('runs', 'ls', '--state', 'failed', '--task', 'broken', '--json')).json() as {
      runs: { id: string }[];
    };
    assert.ok(listed.runs.some((found) => found.id === id));
    const redriven = await run('runs', 'redrive', id);
    assert.equal(redriven.code, 0);
    assert.equal(redriven.stdout, `${id} is pending again\n`);

    const waiting = ((await run('run', 'wait', '--json')).json() as { id: string }).id;
    await until('it runs', async () => (await run('runs', 'get', waiting)).stdout.includes('running'));
    assert.match(
      (await run('runs', 'cancel', waiting, '--reason', 'enough')).stdout,
      /is running: its signal will abort/,
    );
    await until('it is cancelled', async () =>
      (await run('runs', 'get', waiting, '--json')).stdout.includes('"cancelReason":"enough"'),
    );
  });

  test('failed runs are redriven by what they have in common, and counted', async () => {
    const failed = async (): Promise<readonly string[]> => {
      const page = await run(
        'runs',
        'ls',
        '--state',
        'failed',
        '--task',
        'broken',
        '--limit',
        '1000',
        '--json',
      );
      return [...new Set((page.json() as { runs: { id: string }[] }).runs.map(({ id }) => id))];
    };
    const already = (await failed()).length;
    for (let nth = 0; nth < 3; nth++) await run('run', 'broken');
    await until('all have failed', async () => (await failed()).length === already + 3);
    // Paused: what is redriven must not fail again before it is counted.
    assert.equal((await run('tasks', 'pause', 'broken')).code, 0);
    const some = await run('runs', 'redrive', '--state', 'failed', '--task', 'broken', '--limit', '2');
    assert.deepEqual([some.code, some.stdout], [0, '2 runs pending again\n']);
    assert.match(some.stderr, /there may be more/);
    assert.equal((await failed()).length, already + 1);
    const rest = await run('runs', 'redrive', '--state', 'failed', '--task', 'broken', '--json');
    assert.deepEqual(rest.json(), { redriven: already + 1, unchanged: 0, complete: true });
    assert.deepEqual(await failed(), []);
    assert.equal((await run('tasks', 'resume', 'broken')).code, 0);
    await until('all have failed again', async () => (await failed()).length === already + 3);
  });

  test('since shows what ended, or was enqueued, within a time, and says when that was everything', async () => {
    const since = async (duration: string): Promise<{ runs: { id: string }[]; complete: boolean }> =>
      (
        await run(
          'runs',
          'ls',
          '--task',
          'greet',
          '--queue',
          'slow',
          '--since',
          duration,
          '--limit',
          '2',
          '--json',
        )
      ).json() as { runs: { id: string }[]; complete: boolean };
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      const { id } = (
        await run('run', 'greet', '-p', `name=${name}`, '--queue', 'slow', '--json')
      ).json() as {
        id: string;
      };
      ids.push(id);
      await until('it has ended', async () => (await run('runs', 'get', id)).stdout.includes('succeeded'));
    }
    const all = await since('1h');
    assert.deepEqual(
      all.runs.map(({ id }) => id),
      ids.slice(1).reverse(),
    );
    assert.equal(all.complete, false, 'the limit cut one off');
    const none = await until('all of them are older than 50 ms', async () => {
      const found = await since('50ms');
      return found.runs.length === 0 && found;
    });
    assert.equal(none.complete, true);
    const wrong = await run('runs', 'ls', '--since', 'yesterday');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /--since must be a duration/);
  });

  test('redrive wants either ids or --state failed', async () => {
    for (const args of [
      [],
      ['some-id', '--state', 'failed'],
      ['--state', 'succeeded'],
      ['x', '--task', 'broken'],
    ])
      assert.equal((await run('runs', 'redrive', ...args)).code, 2, args.join(' '));
  });

  test('a run that is not known ends with 1', async () => {
    assert.equal((await run('runs', 'get', 'nobody')).code, 1);
    const { code, json } = await run('runs', 'redrive', 'nobody', '--json');
    assert.equal(code, 1);
    assert.deepEqual(json(), { runs: [{ id: 'nobody', outcome: 'not-found' }] });
  });
});

describe('queues and tasks', () => {
  test('a paused task waits, and goes on when it is resumed', async () => {
    assert.equal((await run('tasks', 'pause', 'greet')).code, 0);
    const { id } = (await run('run', 'greet', '--json')).json() as { id: string };
    const listed = (await run('tasks', 'ls', '--queue', 'default', '--tag', 'friendly', '--json')).json() as {
      tasks: { task: string; paused: boolean }[];
    };
    assert.deepEqual(
      listed.tasks.map(({ task, paused }) => [task, paused]),
      [['greet', true]],
    );
    assert.match((await run('runs', 'get', id)).stdout, /state {5}pending/);
    assert.equal((await run('tasks', 'resume', 'greet')).code, 0);
    await until('it has run', async () => (await run('runs', 'get', id)).stdout.includes('succeeded'));
  });

  test('a queue is paused and resumed, and an unknown one is refused', async () => {
    assert.equal((await run('queues', 'pause', 'slow')).code, 0);
    assert.match((await run('queues', 'ls')).stdout, /^slow .* paused$/m);
    assert.equal((await run('queues', 'resume', 'slow')).code, 0);
    const nobody = await run('queues', 'pause', 'nobody', '--json');
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /"code":"QUEUE_UNKNOWN".*no queue nobody was used yet/);
    assert.match((await run('tasks', 'pause', 'gret')).stderr, /knows no task gret \(did you mean greet\?\)/);
  });

  test('a queue is emptied only when asked twice, and what waited ends as cancelled', async () => {
    await run('queues', 'pause', 'slow');
    const { id } = (await run('run', 'greet', '-p', 'name=x', '--queue', 'slow', '--json')).json() as {
      id: string;
    };
    assert.match((await run('queues', 'purge', 'slow')).stdout, /1 runs wait; nothing was changed/);
    assert.match(
      (await run('queues', 'purge', 'slow', '--yes', '--reason', 'a mistake')).stdout,
      /1 runs cancelled/,
    );
    assert.match((await run('runs', 'get', id)).stdout, /cancelled[^]*a mistake/);
    await run('queues', 'resume', 'slow');
    const unknown = await run('queues', 'purge', 'slowe', '--yes');
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no queue slowe was used yet.*did you mean slow\?/);
  });
});

describe('schedules', () => {
  test('ls shows what is in force, next shows the zone and the hazards of the year', async () => {
    const { stdout } = await run('schedules', 'ls');
    assert.match(stdout, /^team-a\/greet +default +every 1s/m);
    const next = await run('schedules', 'next', '--name', 'nightly', '--count', '2');
    assert.match(next.stdout, /02:30:00 \+0[12]:00 {3}\d{4}-\d\d-\d\d 0[01]:30:00Z/);
    assert.equal(next.stdout.match(/clocks:/g)?.length, 2);
  });

  test('why answers for a slot that fired, with its run, and for one that lies before', async () => {
    const line = JSON.parse(await scheduler.line(/"msg":"slot fired"/)) as { slot: string };
    const fired = await until('the run has ended', async () => {
      const answer = await run('schedules', 'why', 'greet', '--at', line.slot);
      return answer.stdout.includes(' succeeded after ') ? answer : undefined;
    });
    assert.equal(fired.code, 0);
    assert.match(fired.stdout, /^team-a\/greet: fired\nThe slot .* fired, on time\.$/m);
    const last = await until('its last slot is one that fired', async () => {
      const answer = await run('schedules', 'why', 'greet', '--json');
      return answer.code === 0 ? answer : undefined;
    });
    const { slot } = last.json() as { readonly slot: string };
    assert.ok(Date.now() - Date.parse(slot) < 10_000, `the last slot is ${slot}`);
    const before = await run('schedules', 'why', 'team-a/greet', '--at', '2020-01-01T00:00:00Z', '--json');
    assert.equal(before.code, 1);
    assert.equal((before.json() as { verdict: string }).verdict, 'before-not-before');
    assert.match(
      (await run('schedules', 'why', 'gret', '--at', '2020-01-01')).stderr,
      /did you mean greet\?/,
    );
  });
});

describe('doctor', () => {
  test('checks Redis, tasks and manifests', async () => {
    const { code, json } = await run('doctor', SCHEDULES, '--tasks', TASKS, '--json');
    assert.equal(code, 0);
    const { findings } = json() as { findings: { check: string; result: string; message: string }[] };
    assert.match(findings.find(({ check }) => check === 'redis')?.message ?? '', /noeviction/);
    assert.equal(
      findings.some(({ result }) => result === 'failed'),
      false,
    );
  });

  test('names everything that is wrong, and ends with 1', async () => {
    const args = ['doctor', 'nowhere', '--tasks', 'nothing.ts', '--redis', 'redis://127.0.0.1:1', '--json'];
    const { code, json } = await tidemill(args, { cwd: FIXTURES });
    assert.equal(code, 1);
    const { findings } = json() as { findings: { check: string; result: string }[] };
    assert.deepEqual(
      findings.filter(({ result }) => result === 'failed').map(({ check }) => check),
      ['redis', 'tasks', 'manifests'],
    );
  });
});

describe('a Redis that cannot be used', () => {
  test('that is away: exit code 69', async () => {
    assert.equal((await tidemill(['queues', 'ls', '--redis', 'redis://127.0.0.1:1'])).code, 69);
  });

  test('that would evict waiting runs: exit code 78', async () => {
    await using evicting = await RedisServer.start({ settings: ['--maxmemory-policy', 'allkeys-lru'] });
    const { code, stderr } = await tidemill(['queues', 'ls', '--redis', evicting.url]);
    assert.equal(code, 78);
    assert.match(stderr, /noeviction/);
  });
});

describe('metrics', () => {
  test('the consumer counts what it did, and leaves the queues to who leads', async () => {
    const http = await httpOf(consumer);
    await run('run', 'greet', '-p', 'then=true', '--wait');
    const text = await until('the child run is counted', async () => {
      const found = await (await fetch(`${http}/metrics`)).text();
      return (
        /runs_finished_total\{queue="default",task="add",outcome="succeeded"\} [1-9]/.test(found) && found
      );
    });
    assert.match(text, /^tidemill_enqueued_total\{queue="default",task="add",source="task"\} [1-9]/m);
    assert.match(text, /^tidemill_redis_up 1$/m);
    assert.match(text, /^tidemill_redis_command_duration_seconds_count\{operation="cycle"\} [1-9]/m);
    assert.doesNotMatch(text, /tidemill_(queue_|consumers|scheduler_leader|redis_memory_)/);
  });

  test('the scheduler counts its decisions and what it enqueued, and shows the queues as Redis has them', async () => {
    const text = await (await fetch(`${await httpOf(scheduler)}/metrics`)).text();
    assert.match(
      text,
      /^tidemill_schedule_fires_total\{namespace="team-a",task="greet",outcome="fired"\} [1-9]/m,
    );
    assert.match(text, /^tidemill_enqueued_total\{queue="default",task="greet",source="schedule"\} [1-9]/m);
    assert.match(text, /^tidemill_scheduler_leader 1$/m);
    assert.match(text, /^tidemill_queue_depth\{queue="slow",state="pending"\} \d+$/m);
    assert.match(text, /^tidemill_consumers\{queue="default"\} 1$/m);
    assert.match(text, /^tidemill_collector_up\{collector="queues"\} 1$/m);
    assert.match(text, /^tidemill_redis_memory_used_bytes [1-9]/m);
  });
});

describe('the processes', () => {
  test('the consumer warns once that schedules in code are not in force, and names their tasks', () => {
    const warnings = consumer.lines.filter((line) => line.includes('schedules in code are not in force'));
    assert.equal(warnings.length, 1);
    const { level, tasks } = JSON.parse(warnings[0] ?? '') as { level: string; tasks: readonly string[] };
    assert.deepEqual([level, tasks], ['warn', ['tick']]);
  });

  test('what a task leaves uncaught is logged with its name, and the consumer lives', async () => {
    await run('run', 'late', '--wait');
    assert.match(await consumer.line(/"task":"late".*rejected and forgotten/), /"level":"error"/);
    assert.match(await consumer.line(/"task":"late".*thrown after the end/), /"level":"error"/);
    assert.equal((await run('run', 'greet', '--wait')).code, 0);
  });

  test('SIGTERM ends consumer and scheduler with 0, and the last line says why', async () => {
    consumer.signal('SIGTERM');
    scheduler.signal('SIGTERM');
    assert.deepEqual(await consumer.exited, { code: 0, signal: null });
    assert.deepEqual(await scheduler.exited, { code: 0, signal: null });
    assert.match(consumer.lines.at(-1) ?? '', /consumer stopped/);
    assert.match(scheduler.lines.at(-1) ?? '', /scheduler stopped/);
    for (const line of consumer.lines) JSON.parse(line);
  });
});
