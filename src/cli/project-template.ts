/** The files of a new worker project. */

/** Versions that the template was tried with. */
const ZOD = '^4.6.0';
const TYPESCRIPT = '^6.0.0';
const NODE_TYPES = '^24.0.0';

/** Path → content. */
export function projectFiles(name: string, version: string): Readonly<Record<string, string>> {
  return {
    'package.json': packageJson(name, version),
    'tsconfig.json': TSCONFIG,
    'src/tasks.ts': TASKS,
    'schedules/hello.yaml': SCHEDULE,
    Dockerfile: dockerfile(version),
    '.dockerignore': 'node_modules\ndist\n.git\n',
    '.gitignore': 'node_modules\ndist\n',
    'README.md': readme(name),
  };
}

function packageJson(name: string, version: string): string {
  const content = {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: { node: '>=24' },
    scripts: {
      dev: 'tidemill dev schedules --tasks src/tasks.ts',
      check: 'tsc --noEmit && tidemill doctor schedules --tasks src/tasks.ts',
      build: 'tsc --noEmit false',
      consumer: 'tidemill consumer --tasks dist/tasks.js',
      scheduler: 'tidemill scheduler schedules --http-port 9465',
    },
    // In the image these are there already: what stands under "dependencies" is what the tasks need beside them.
    devDependencies: { '@types/node': NODE_TYPES, tidemill: `^${version}`, typescript: TYPESCRIPT, zod: ZOD },
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

const TSCONFIG = `${JSON.stringify(
  {
    compilerOptions: {
      target: 'es2024',
      module: 'nodenext',
      types: ['node'],
      strict: true,
      noUncheckedIndexedAccess: true,
      erasableSyntaxOnly: true,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
      skipLibCheck: true,
      rootDir: 'src',
      outDir: 'dist',
      noEmit: true,
    },
    include: ['src'],
  },
  undefined,
  2,
)}\n`;

const TASKS = `// Every task that is exported here can be run by its name, and be scheduled.
import { defineTask, every } from 'tidemill';
import { z } from 'zod';

/** CPU-bound: it may block for as long as it likes, in a process of its own. */
export const countPrimes = defineTask({
  name: 'count-primes',
  description: 'Counts the primes below a number',
  cpuBound: true,
  params: z.object({ below: z.number().int().max(50_000_000) }),
  run({ params }) {
    const composite = new Uint8Array(params.below);
    let count = 0;
    for (let n = 2; n < params.below; n++) {
      if (composite[n] === 1) continue;
      count += 1;
      for (let multiple = n * n; multiple < params.below; multiple += n) composite[multiple] = 1;
    }
    return { count };
  },
});

/** IO-bound: it shares the event loop with others, and hands heavy work on. */
export const hello = defineTask({
  name: 'hello',
  description: 'Greets somebody, and has primes counted',
  retry: { attempts: 3 },
  params: z.object({ name: z.string().default('world') }),
  async run({ params, log, enqueue }) {
    log.info('hello', { name: params.name });
    const { id } = await enqueue(countPrimes, { below: 1_000_000 });
    return { countedBy: id };
  },
});

/** A schedule in code: in force in \`dev\` and \`scheduler\`. In a cluster, ScheduledTask objects are the only truth. */
export const heartbeat = defineTask({
  name: 'heartbeat',
  schedule: every('10s'),
  run({ log, run }) {
    log.info('still here', { slot: run.slot?.toISOString() });
  },
});
`;

const SCHEDULE = `apiVersion: tidemill.dev/v1alpha1
kind: ScheduledTask
metadata:
  name: hello
spec:
  task: hello
  every: 5s
  params:
    name: tidemill
`;

/** As in `examples/worker`. */
function dockerfile(version: string): string {
  return `# Node, Tidemill and zod are in the image; it runs the TypeScript as it is.
ARG TIDEMILL_IMAGE=ghcr.io/tidemill/tidemill:${version}
FROM \${TIDEMILL_IMAGE}
COPY package.json ./
COPY src ./src
CMD ["consumer", "--tasks", "src/tasks.ts"]
`;
}

function readme(name: string): string {
  return `# ${name}

A worker for Tidemill: the tasks are in \`src/tasks.ts\`, the schedules in \`schedules/\`. It needs Node 24 or newer.

\`\`\`sh
npm install
npm run dev        # schedules, queue and tasks in one process; Ctrl-C prints a summary
npm run check      # types, tasks and manifests
\`\`\`

Run one task by hand:

\`\`\`sh
npx tidemill run hello -p name=you --here --tasks src/tasks.ts
\`\`\`

With a Redis (\`maxmemory-policy noeviction\`), as separate processes:

\`\`\`sh
export TIDEMILL_REDIS_URL=redis://localhost:6379
npm run build
npm run consumer &
npm run scheduler &
npx tidemill run hello -p name=you --wait
\`\`\`

In Kubernetes the image of the \`Dockerfile\` is a consumer; apply the files in \`schedules/\` to a cluster in which Tidemill is
installed. Packages that the tasks need beside Tidemill and zod go into \`dependencies\`, and into the image by a stage of their own
before \`FROM\`:

\`\`\`dockerfile
FROM node:24-bookworm-slim AS dependencies
COPY package*.json ./
RUN npm ci --omit=dev --ignore-scripts
\`\`\`

and \`COPY --from=dependencies /node_modules ./node_modules\` after it.
`;
}
