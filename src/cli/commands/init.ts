/** `tidemill init`: a worker project that runs, in an empty folder. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { messageOf, TidemillError } from '../../runtime/errors.ts';
import { addCommand, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { EXIT } from '../exit-codes.ts';
import { projectFiles } from '../project-template.ts';
import { writeJson } from '../output.ts';
import { NoSettings } from '../settings.ts';
import { VERSION } from '../version.ts';

/** What a fresh repository may hold already. */
const HARMLESS = new Set(['.git', '.gitignore', 'LICENSE', '.DS_Store', '.idea', '.vscode']);

export function addInit(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.init,
      details:
        'Two tasks, a schedule, a Dockerfile, and the scripts that run them. Nothing that exists is overwritten.',
      examples: ['tidemill init my-worker && cd my-worker && npm install && npm run dev'],
      settings: NoSettings,
      options: z.object({}),
      jsonHelp: 'print {"folder", "files"}',
      run: async ({ args: [folder = '.'], json, io }) => {
        const root = resolve(io.cwd, folder);
        const files = projectFiles(packageName(basename(root)), VERSION);
        try {
          writeProject(root, files);
        } catch (error) {
          if (error instanceof TidemillError) throw error;
          throw new TidemillError('USAGE', `${root} cannot be made a project: ${messageOf(error)}`, {
            cause: error,
          });
        }
        if (json) writeJson(io, { folder: root, files: Object.keys(files) });
        else {
          io.stdout.write(`wrote ${Object.keys(files).join(', ')}\n\nNext:\n`);
          if (folder !== '.') io.stdout.write(`  cd ${folder}\n`);
          io.stdout.write('  npm install\n  npm run dev\n');
        }
        return EXIT.ok;
      },
    },
    surroundings,
  );
}

/** @throws TidemillError USAGE for a folder that holds something; what the file system says for one that cannot be written */
function writeProject(root: string, files: Readonly<Record<string, string>>): void {
  const strange = existsSync(root) ? readdirSync(root).filter((name) => !HARMLESS.has(name)) : [];
  if (strange.length > 0) {
    throw new TidemillError(
      'USAGE',
      `${root} is not empty (it holds ${strange.slice(0, 5).join(', ')}): name a new folder, such as tidemill init my-worker`,
    );
  }
  for (const [path, text] of Object.entries(files)) {
    const target = join(root, path);
    if (existsSync(target)) continue;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }
}

/** A folder name as npm takes it for a package. */
function packageName(folder: string): string {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
  return name === '' ? 'tidemill-worker' : name;
}
