/** `tidemill doctor`: checks whatever a process would need, and says for each what is wrong and what to do. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { RedisBroker } from '../../broker/redis/redis-broker.ts';
import { TidemillError } from '../../runtime/errors.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { requireRedis, withBroker } from '../context.ts';
import { explained, type Finding } from '../doctor/finding.ts';
import { kubernetesFindings } from '../doctor/kubernetes.ts';
import { noopFindings } from '../doctor/noop.ts';
import { queueFindings } from '../doctor/queues.ts';
import { schedulesFinding } from '../doctor/schedules.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { plural, printable, showDuration } from '../format.ts';
import { type Io, type Style, styled } from '../io.ts';
import { checkManifests } from '../manifests.ts';
import { durationOption } from '../options.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { DoctorSettings } from '../settings.ts';
import { loadTaskSet } from '../worker.ts';
import { taskProblems } from '../check-tasks.ts';
import type { TaskRegistry } from '../../task/registry.ts';

const DoctorOptions = z.object({
  kubernetes: z.boolean().default(false),
  runNoop: z.boolean().default(false),
  timeout: durationOption('--timeout', '30s'),
});
type DoctorCall = Call<typeof DoctorSettings, typeof DoctorOptions>;

/** Offsets between our clock and Redis's that are worth a word: nothing depends on it but what people read. */
const CLOCK_OFFSET_MS = 5_000;
const SLOW_ROUND_TRIP_MS = 50;
const ROUND_TRIPS = 20;

export function addDoctor(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.doctor,
      details:
        'What is not asked for is not checked, and is named as skipped. With --tasks, the task and the params of each schedule are checked.\n' +
        'With --kubernetes: the API server and its version, the CRD and its schema, and whether a controller holds the Lease. With --run-noop\n' +
        'the built-in task tidemill.noop goes through each queue that --queue names, and its consumers. The exit code is 1 when anything failed.',
      examples: [
        'tidemill doctor schedules/ --tasks dist/tasks.js --redis redis://localhost:6379',
        'tidemill doctor --kubernetes --lease-namespace tidemill --run-noop --queue default,reports',
      ],
      settings: DoctorSettings,
      rules: REDIS_RULES,
      flags: [
        {
          flags: '--kubernetes',
          help: 'check the cluster: API server, CRD, and the Lease of the controller',
        },
        { flags: '--run-noop', help: 'run tidemill.noop through the queues that --queue names' },
        { flags: '--timeout <duration>', help: 'how long --run-noop waits for each queue (default: 30s)' },
      ],
      options: DoctorOptions,
      jsonHelp: 'print {"findings": [{"check", "result", "message"}]}',
      run: runDoctor,
    },
    surroundings,
  );
}

async function runDoctor(call: DoctorCall): Promise<ExitCode> {
  const { io, json } = call;
  const fromRedis = await redisFindings(call);
  const { finding, registry } = await checkTasks(call);
  const findings = [
    nodeFinding(),
    ...fromRedis,
    ...(await clusterFindings(call)),
    finding,
    ...(await manifestFindings(call, registry)),
  ];
  if (json) writeJson(io, { findings });
  else {
    for (const { check, result, message } of findings) {
      io.stdout.write(
        `${styled(io, STYLES[result], result.padEnd(8))} ${check.padEnd(10)} ${printable(message)}\n`,
      );
    }
  }
  return findings.some(({ result }) => result === 'failed') ? EXIT.failure : EXIT.ok;
}

const STYLES: Readonly<Record<Finding['result'], Style>> = {
  ok: 'green',
  warning: 'yellow',
  failed: 'red',
  skipped: 'dim',
};

function nodeFinding(): Finding {
  const { node, tz = 'unknown' } = process.versions;
  return { check: 'node', result: 'ok', message: `Node ${node}, time-zone rules of ${tz}` };
}

async function clusterFindings({ settings, options, io }: DoctorCall): Promise<readonly Finding[]> {
  if (options.kubernetes) return kubernetesFindings(settings, io);
  return [{ check: 'kubernetes', result: 'skipped', message: 'no --kubernetes given' }];
}

async function redisFindings(call: DoctorCall): Promise<readonly Finding[]> {
  const { settings, options, io } = call;
  if (settings.redis === undefined)
    return [
      { check: 'redis', result: 'skipped', message: 'no --redis given' },
      // Asked for and not possible is not the same as not asked for.
      options.runNoop ? noopNot('failed', 'it needs --redis') : NOOP_NOT_ASKED,
    ];
  const warnings: Finding[] = [];
  const onWarning = (message: string): void =>
    void warnings.push({ check: 'redis', result: 'warning', message });
  try {
    const redis = requireRedis(settings, '');
    const findings = await withBroker({ settings: redis, io, onWarning }, async (broker) => [
      ...(await brokerFindings(broker, io)),
      ...(await unlessRefused('schedules', async () => [await schedulesFinding(broker, settings.install)])),
      ...(await noopsOf(call, broker)),
    ]);
    return [...findings, ...warnings];
  } catch (error) {
    return [
      ...warnings,
      { check: 'redis', result: 'failed', message: explained(error) },
      options.runNoop ? noopNot('skipped', 'Redis cannot be used') : NOOP_NOT_ASKED,
    ];
  }
}

/** A user with the rights of a consumer or a producer may not look at everything. */
async function unlessRefused(
  check: string,
  look: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof TidemillError) || error.code !== 'BROKER_REFUSED') throw error;
    return [{ check, result: 'skipped', message: explained(error) }];
  }
}

async function noopsOf(
  { settings, options, io }: DoctorCall,
  broker: RedisBroker,
): Promise<readonly Finding[]> {
  if (!options.runNoop) return [NOOP_NOT_ASKED];
  return noopFindings(broker, settings.queues, options.timeout, io.clock);
}

const noopNot = (result: 'failed' | 'skipped', message: string): Finding => ({
  check: 'noop',
  result,
  message,
});
const NOOP_NOT_ASKED = noopNot('skipped', 'no --run-noop given');

async function brokerFindings(broker: RedisBroker, io: Io): Promise<readonly Finding[]> {
  const { product, version, evictionPolicy = 'unknown', maxMemoryBytes } = broker.server;
  const queues = await broker.queueNames();
  const memory =
    maxMemoryBytes === 0 ? 'no maxmemory' : `maxmemory ${Math.round(maxMemoryBytes / 1_024 ** 2)} MiB`;
  return [
    {
      check: 'redis',
      result: 'ok',
      message: `${broker.description} answers: ${product} ${version || 'of unknown version'}, policy ${evictionPolicy}, ${memory}`,
    },
    ...(await unlessRefused('queues', () => queueFindings(broker, queues))),
    ...clockFindings(await measure(() => broker.now(), io.clock)),
  ];
}

function clockFindings({ offsetMs, medianMs }: Measurement): readonly Finding[] {
  const slow = medianMs > SLOW_ROUND_TRIP_MS;
  const far = Math.abs(offsetMs) > CLOCK_OFFSET_MS;
  const side = offsetMs > 0 ? 'behind' : 'ahead of';
  return [
    {
      check: 'latency',
      result: slow ? 'warning' : 'ok',
      message: `a round trip takes ${medianMs.toFixed(1)} ms${slow ? ': far for a queue; put consumers near Redis' : ''}`,
    },
    {
      check: 'clock',
      result: far ? 'warning' : 'ok',
      message: `this machine's clock is ${showDuration(Math.abs(offsetMs))} ${side} that of Redis${far ? ': schedules follow Redis, logs here do not' : ''}`,
    },
  ];
}

interface Measurement {
  readonly offsetMs: number;
  readonly medianMs: number;
}

/** Of several tries: the middle round trip, and the offset seen by the fastest one, which is the most exact. */
async function measure(
  readNow: () => Promise<number>,
  clock: { now(): number; monotonic(): number },
): Promise<Measurement> {
  const tries: { readonly tripMs: number; readonly offsetMs: number }[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const sentMs = clock.monotonic();
    const theirMs = await readNow();
    const tripMs = clock.monotonic() - sentMs;
    tries.push({ tripMs, offsetMs: theirMs - (clock.now() - tripMs / 2) });
  }
  tries.sort((a, b) => a.tripMs - b.tripMs);
  return { offsetMs: tries[0]?.offsetMs ?? 0, medianMs: tries[Math.floor(tries.length / 2)]?.tripMs ?? 0 };
}

interface CheckedTasks {
  readonly finding: Finding;
  /** Absent when there are none to check manifests against. */
  readonly registry?: TaskRegistry;
}

async function checkTasks({ settings: { tasks }, io }: DoctorCall): Promise<CheckedTasks> {
  if (tasks === undefined)
    return { finding: { check: 'tasks', result: 'skipped', message: 'no --tasks given' } };
  try {
    const { registry } = await loadTaskSet(tasks, io);
    const names = registry.names();
    const message = `${plural(names.length, 'task')}: ${names.join(', ')}`;
    return { finding: { check: 'tasks', result: 'ok', message }, registry };
  } catch (error) {
    return { finding: { check: 'tasks', result: 'failed', message: explained(error) } };
  }
}

async function manifestFindings(
  { args, io }: DoctorCall,
  registry: TaskRegistry | undefined,
): Promise<readonly Finding[]> {
  if (args.length === 0) return [{ check: 'manifests', result: 'skipped', message: 'none given' }];
  const { objects, problems: ofFiles } = await checkManifests(args, io);
  const problems = [...ofFiles, ...(registry === undefined ? [] : taskProblems(objects, registry))];
  if (problems.length === 0)
    return [
      { check: 'manifests', result: 'ok', message: `${plural(objects.length, 'schedule')}, all valid` },
    ];
  return problems.map(({ at, message }) => ({
    check: 'manifests',
    result: 'failed',
    message: `${at}: ${message}`,
  }));
}
