/** `tidemill run`: starts one run, here or through the queue, and waits for its end if asked to. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { Broker, Queue } from '../../broker/broker.ts';
import { createMemoryBroker } from '../../broker/memory/memory-broker.ts';
import { TidemillError } from '../../runtime/errors.ts';
import { watchSignals } from '../../runtime/shutdown.ts';
import { makeRequest, type QueuedRequest } from '../../task/make-request.ts';
import type { TaskDescription } from '../../task/manifest.ts';
import { isReservedTaskName } from '../../task/names.ts';
import { didYouMean } from '../../task/near-names.ts';
import { isTerminal, PRIORITIES, type RunRecord } from '../../task/run.ts';
import type { EnqueueOptions } from '../../task/types.ts';
import { createLog } from '../../telemetry/log.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { requireRedis, withBroker } from '../context.ts';
import { prettyLogLine } from '../dev/pretty-log.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { durationOption } from '../options.ts';
import { writeJson } from '../output.ts';
import { checkParams, paramsFrom } from '../run-params.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { endOf, reportEnd } from '../run-end.ts';
import { RunSettings } from '../settings.ts';
import { loadTaskSet, type TaskSet, WorkerParts } from '../worker.ts';

const RunOptions = z.object({
  param: z.array(z.string()).default([]),
  params: z.string().optional(),
  here: z.boolean().default(false),
  wait: z.boolean().default(false),
  timeout: durationOption('--timeout', '1m'),
  id: z.string().optional(),
  priority: z.enum(PRIORITIES, { error: `--priority must be one of ${PRIORITIES.join(', ')}` }).optional(),
  delay: z.string().optional(),
  expiresIn: z.string().optional(),
});
type RunCall = Call<typeof RunSettings, typeof RunOptions>;

/** How long the bodies of `--here` may go on after Ctrl-C. */
const HERE_DRAIN_MS = 5_000;
const HERE_QUEUE = 'default';

export function addRun(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.run,
      details:
        'It goes into the queue, and any consumer runs it; its id is printed. With --wait the result is printed when it ended.\n' +
        'With --here it is executed in this process, without Redis, and so are the runs that it enqueues; --tasks says where the task is.',
      examples: [
        'tidemill run fetch-data -p url=https://example.org --wait',
        'tidemill run fetch-data --params \'{"url":"https://example.org"}\' --here --tasks src/tasks.ts',
      ],
      settings: RunSettings,
      rules: REDIS_RULES,
      flags: [
        { flags: '-p, --param <key=value>', help: 'one of its params; may be repeated', repeatable: true },
        { flags: '--params <json>', help: 'all of its params as a JSON object; -p overrides single ones' },
        { flags: '--here', help: 'execute it in this process' },
        { flags: '--wait', help: 'wait until it has ended; exit code 1 when it did not succeed' },
        { flags: '--timeout <duration>', help: 'how long --wait waits (default: 1m)' },
        {
          flags: '--id <id>',
          help: 'id of your own: enqueuing it again while it is known makes no second run',
        },
        { flags: '--priority <priority>', help: `${PRIORITIES.join(', ')} (default: as the task says)` },
        { flags: '--delay <duration>', help: 'ready only after this time' },
        { flags: '--expires-in <duration>', help: 'give it up when nobody has claimed it within this time' },
      ],
      options: RunOptions,
      jsonHelp: 'print {"id", "outcome"}, and with --wait or --here the whole run',
      run: (call) => (call.options.here ? runHere(call) : runThroughQueue(call)),
    },
    surroundings,
  );
}

async function runThroughQueue(call: RunCall): Promise<ExitCode> {
  const {
    settings,
    options,
    args: [task = ''],
    io,
    json,
  } = call;
  const redis = requireRedis(settings, 'run it --here, with --tasks');
  const local = settings.tasks === undefined ? undefined : await loadTaskSet(settings.tasks, io);
  return withBroker({ settings: redis, io }, async (broker) => {
    const queue = broker.queue(settings.queue);
    const published = local === undefined ? await publishedVersions(queue, task) : [];
    const { request } = queuedRequest(call, local, published, settings.queue);
    const [outcome = 'full'] = await queue.runs.enqueue([request]);
    if (outcome === 'full')
      throw new TidemillError(
        'QUEUE_FULL',
        `queue ${settings.queue} holds as many pending runs as it may: nothing was enqueued`,
      );
    const answer = { id: request.id, outcome };
    if (!options.wait) {
      if (json) writeJson(io, answer);
      else
        io.stdout.write(
          `${request.id} ${outcome === 'enqueued' ? 'enqueued' : 'is known already: nothing was enqueued'}\n`,
        );
      return EXIT.ok;
    }
    if (!json) io.stderr.write(`${request.id} ${outcome}, waiting for its end\n`);
    return reportEnd(io, json, await endOf(queue, request.id, options.timeout));
  });
}

/** @throws TidemillError TASK_UNKNOWN when consumers have published tasks, and this is none of them */
async function publishedVersions(
  { name, inspect }: Queue,
  task: string,
): Promise<readonly TaskDescription[]> {
  const manifests = await inspect.manifests();
  const tasks = manifests.flatMap(({ manifest }) => manifest.tasks);
  const versions = tasks.filter((description) => description.name === task);
  // Before the first consumer nothing can be said: the run waits.
  if (versions.length > 0 || tasks.length === 0) return versions;
  const names = new Set(tasks.map(({ name: known }) => known).filter((known) => !isReservedTaskName(known)));
  const known = didYouMean(task, names) || `; known are ${[...names].sort().slice(0, 10).join(', ')}`;
  throw new TidemillError(
    'TASK_UNKNOWN',
    `no consumer of queue ${name} knows a task ${JSON.stringify(task)}${known}`,
  );
}

function queuedRequest(
  { options, args: [task = ''] }: RunCall,
  local: TaskSet | undefined,
  published: readonly TaskDescription[],
  queue: string,
): QueuedRequest {
  const definition = local?.registry.get(task);
  const versions = local === undefined ? published : local.manifest.tasks.filter(({ name }) => name === task);
  const params = paramsFrom(options.params, options.param, versions[0]?.paramsSchema);
  if (definition === undefined) checkParams(task, params, published);
  const priority = options.priority ?? versions[0]?.priority;
  const enqueue: EnqueueOptions = {
    ...(options.id !== undefined && { id: options.id }),
    ...(options.delay !== undefined && { delay: options.delay }),
    ...(options.expiresIn !== undefined && { expiresIn: options.expiresIn }),
    ...(priority !== undefined && { priority }),
  };
  return makeRequest(definition ?? task, params, enqueue, { queue, source: 'cli' });
}

/** The whole of it in this process: its own queue, its own consumer, until nothing is left to do. */
async function runHere(call: RunCall): Promise<ExitCode> {
  const { settings, io, json } = call;
  if (settings.tasks === undefined)
    throw new TidemillError(
      'CONFIG_INVALID',
      '--here needs --tasks <path>, the module that exports the task',
    );
  using shutdown = watchSignals();
  const tasks = await loadTaskSet(settings.tasks, io);
  // A person wants to see what the task says, not how this process goes about it.
  const destination = json
    ? io.stderr
    : { write: (line: string) => io.stderr.write(prettyLogLine(line, io) ?? '') };
  const log = createLog({ level: 'info', destination, clock: io.clock });
  const { request } = queuedRequest(call, tasks, [], HERE_QUEUE);
  await using broker = createMemoryBroker({ clock: io.clock });
  await using parts = await WorkerParts.open({
    ...{ tasks, broker, io, log },
    concurrency: 100,
    cpuConcurrency: 1,
    drainMs: HERE_DRAIN_MS,
    killGraceMs: HERE_DRAIN_MS,
  });
  const done = new AbortController();
  const consuming = parts.consumer([HERE_QUEUE]).run(AbortSignal.any([shutdown.signal, done.signal]));
  // Should it end by itself, nothing is left that could end the run.
  const alone = new AbortController();
  const abandon = (): void => alone.abort();
  consuming.then(abandon, abandon);
  const until = AbortSignal.any([shutdown.signal, alone.signal]);
  try {
    await broker.queue(HERE_QUEUE).runs.enqueue([request]);
    const record = await endedHere(broker, request.id, until);
    return reportEnd(io, json, record);
  } finally {
    done.abort();
    await consuming;
  }
}

/** The run's end, and that of all it has enqueued. */
async function endedHere(broker: Broker, id: string, signal: AbortSignal): Promise<RunRecord> {
  const { runs, inspect } = broker.queue(HERE_QUEUE);
  while (!signal.aborted) {
    const record = await runs.waitForEnd(id, { timeoutMs: 60_000, signal });
    if (record === undefined || record === 'not-found' || !isTerminal(record.state)) continue;
    const { runs: left } = await inspect.runs({ states: ['pending', 'delayed', 'running'], limit: 1 });
    const [next] = left;
    if (next === undefined) return record;
    await runs.waitForEnd(next.id, { timeoutMs: 60_000, signal });
  }
  throw new TidemillError('RUN_FAILED', `run ${id} was stopped before its end`);
}
