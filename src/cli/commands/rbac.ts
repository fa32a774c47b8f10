/** `tidemill rbac`: prints the rights that a controller needs, and no more, as YAML for kubectl. */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { z } from 'zod';
import { addCommand, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { EXIT } from '../exit-codes.ts';
import { RbacSettings } from '../kube-settings.ts';
import { writeJson } from '../output.ts';

export function addRbac(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.rbac,
      details:
        'With --watch-namespaces a Role in each of them, else a ClusterRole. Consumers need no rights in the cluster at all.',
      examples: [
        'tidemill rbac --lease-namespace tidemill | kubectl apply -f -',
        'tidemill rbac --watch-namespaces team-a,team-b',
      ],
      settings: RbacSettings,
      options: z.object({}),
      jsonHelp: 'print a v1 List instead of YAML documents',
      run: async ({ settings, json, io }) => {
        const { rbacObjects } = await import('../../kube/rbac.ts');
        const objects = rbacObjects({
          namespace: settings.leaseNamespace,
          serviceAccount: settings.serviceAccount,
          leaseName: settings.leaseName,
          watchNamespaces: settings.watchNamespaces ?? [],
        });
        if (json) writeJson(io, { apiVersion: 'v1', kind: 'List', items: objects });
        else io.stdout.write(objects.map((object) => stringify(object)).join('---\n'));
        return EXIT.ok;
      },
    },
    surroundings,
  );
}
