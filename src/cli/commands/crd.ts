/** `tidemill crd`: the CustomResourceDefinition, for `kubectl apply`. */
import type { Command } from 'commander';
import { z } from 'zod';
import { addCommand, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { EXIT } from '../exit-codes.ts';
import { writeJson } from '../output.ts';
import { NoSettings } from '../settings.ts';

export function addCrd(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.crd,
      examples: ['tidemill crd | kubectl apply --server-side -f -'],
      settings: NoSettings,
      options: z.object({}),
      jsonHelp: 'print it as JSON',
      run: async ({ json, io }) => {
        const { crd, renderCrd } = await import('../../resource/crd.ts');
        if (json) writeJson(io, crd());
        else io.stdout.write(renderCrd());
        return EXIT.ok;
      },
    },
    surroundings,
  );
}
