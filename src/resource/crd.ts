/** The CRD, generated from the schema of the object: what the API server checks is what we parse. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { GROUP, KIND, PLURAL, ScheduledTaskSchema, VERSION } from './scheduled-task.ts';
import { structural } from './structural.ts';

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'date' | 'boolean' | 'integer';
  readonly jsonPath: string;
  /** 1: only with `-o wide`. */
  readonly priority?: number;
}

const READY = '.status.conditions[?(@.type=="Ready")]';

const COLUMNS: readonly PrinterColumn[] = [
  { name: 'Task', type: 'string', jsonPath: '.spec.task' },
  { name: 'Schedule', type: 'string', jsonPath: '.spec.schedule' },
  { name: 'Every', type: 'string', jsonPath: '.spec.every' },
  { name: 'Ready', type: 'string', jsonPath: `${READY}.status` },
  { name: 'Reason', type: 'string', jsonPath: `${READY}.reason` },
  { name: 'Last', type: 'date', jsonPath: '.status.lastScheduleTime' },
  // A column of type date prints an age, and `<invalid>` for what is still to come.
  { name: 'Next', type: 'string', jsonPath: '.status.nextScheduleTime' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  { name: 'Zone', type: 'string', jsonPath: '.spec.timeZone', priority: 1 },
  { name: 'Queue', type: 'string', jsonPath: '.spec.queue', priority: 1 },
  { name: 'Suspend', type: 'boolean', jsonPath: '.spec.suspend', priority: 1 },
  { name: 'Active', type: 'integer', jsonPath: '.status.active', priority: 1 },
];

const HEADER = '# Generated from src/resource by `tidemill crd`: edit the schema there, not this file.\n';

/** The schema of our version: what the API server checks objects with. */
export function crdSchema(): ReturnType<typeof structural> {
  return structural(z.toJSONSchema(ScheduledTaskSchema, { target: 'openapi-3.0', io: 'input' }));
}

/** The CustomResourceDefinition as an object. */
export function crd(): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      // Never the category `tasks`: Tekton has it.
      names: {
        plural: PLURAL,
        singular: 'scheduledtask',
        kind: KIND,
        listKind: `${KIND}List`,
        shortNames: ['st'],
        categories: ['tidemill'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          selectableFields: ['.spec.task', '.spec.queue', '.spec.suspend'].map((jsonPath) => ({ jsonPath })),
          additionalPrinterColumns: COLUMNS,
          schema: {
            openAPIV3Schema: crdSchema(),
          },
        },
      ],
    },
  };
}

/** The CRD as YAML: what `tidemill crd` prints and what stands in `crds/`. */
export function renderCrd(): string {
  // No anchors and no folding: the file is read by people and compared line by line.
  return `${HEADER}${stringify(crd(), { aliasDuplicateObjects: false, lineWidth: 0 })}`;
}
