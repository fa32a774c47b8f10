/** A control group for one cluster, so that two kubelets on a machine do not remove each other's pods. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';
/** What the kubelet asks of the unified hierarchy. */
const CONTROLLERS = ['cpu', 'cpuset', 'memory', 'pids', 'hugetlb', 'io'];

/** Makes the group below the root of the unified hierarchy, or of every one of the old kind. */
export async function makeCgroup(name: string): Promise<void> {
  if (existsSync(join(ROOT, 'cgroup.controllers'))) return makeUnified(name);
  for (const hierarchy of await readdir(ROOT)) {
    const parent = join(ROOT, hierarchy);
    if (!existsSync(join(parent, 'cgroup.procs'))) continue;
    const group = join(parent, name);
    await mkdir(group, { recursive: true });
    // A new group of this controller has no processor and no memory node until it is told.
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (existsSync(join(parent, file)))
        await writeFile(join(group, file), await readFile(join(parent, file)));
  }
}

async function makeUnified(name: string): Promise<void> {
  const group = join(ROOT, name);
  await mkdir(group, { recursive: true });
  const known = (await readFile(join(ROOT, 'cgroup.controllers'), 'utf8')).trim().split(' ');
  for (const controller of CONTROLLERS.filter((wanted) => known.includes(wanted)))
    for (const folder of [ROOT, group])
      await writeFile(join(folder, 'cgroup.subtree_control'), `+${controller}`);
}
