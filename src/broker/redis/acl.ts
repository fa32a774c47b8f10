/**
 * What each kind of process needs from Redis, and no more, as the rules of an ACL user. Scripts run with the rights of their
 * caller: every command in them, and every key that they touch, is checked again. So the commands are read from the
 * scripts themselves; `test/security/redis-acl.test.ts` runs real processes under these users.
 */
import { installKeys, queueKeys } from './keys.ts';
import type { ScriptName } from './scripts.ts';

export const ACL_ROLES = ['producer', 'consumer', 'controller', 'operator'] as const;
export type AclRole = (typeof ACL_ROLES)[number];

interface RoleRights {
  /** The transitions that it may ask for. */
  readonly scripts: readonly ScriptName[];
  /** What it sends outside of scripts, besides what every connection does. */
  readonly commands: readonly string[];
  readonly locks: boolean;
}

/** What every connection sends: it calls scripts, and looks whether the server is suitable and alive. */
const CONNECTION_COMMANDS: readonly string[] = [
  ...['eval', 'evalsha', 'info', 'time', 'ping', 'select', 'cluster|slots'],
];

const PRODUCING: readonly ScriptName[] = ['enqueue', 'cancel', 'redrive'];
const WORKING: readonly ScriptName[] = [
  ...(['register', 'cycle', 'claim', 'call-off', 'renew', 'held', 'leave', 'promote', 'recover'] as const),
];
const LOOKING: readonly ScriptName[] = [
  'stats',
  'tasks',
  'manifests',
  'consumers',
  'search',
  'decisions',
  'states',
];
const FIRING: readonly ScriptName[] = ['adopt', 'adopted', 'fire', 'withdraw', 'requested'];
const SWITCHING: readonly ScriptName[] = ['pause-queue', 'pause-task', 'purge', 'request'];

const ROLE_RIGHTS: Readonly<Record<AclRole, RoleRights>> = {
  producer: { scripts: PRODUCING, commands: ['hget', 'sadd', 'xread', 'xrevrange'], locks: false },
  consumer: { scripts: [...WORKING, 'enqueue', 'stats'], commands: ['sadd', 'xread'], locks: false },
  controller: {
    scripts: [...FIRING, 'promote', ...LOOKING, 'hold-lock', 'release-lock'],
    commands: ['hget', 'sadd', 'smembers'],
    locks: true,
  },
  operator: {
    scripts: [...PRODUCING, ...LOOKING, ...SWITCHING, 'adopted', 'requested'],
    commands: ['hget', 'sadd', 'smembers', 'xread', 'xrevrange'],
    locks: false,
  },
};

/** A word in single quotes: in the scripts these are names of commands, their options, and our own words. */
const QUOTED_WORD = /'([A-Z]{3,})'/g;
/** Options of commands, which stand in the scripts like commands. */
const OPTIONS: ReadonlySet<string> = new Set(['byscore', 'count', 'limit', 'maxlen', 'rank', 'withscores']);

/** The commands that the text of a script calls. */
function commandsOfScript(source: string): readonly string[] {
  const words = [...source.matchAll(QUOTED_WORD)].map(([, word = '']) => word.toLowerCase());
  return [...new Set(words)].filter((word) => !OPTIONS.has(word));
}

export interface AclUser {
  readonly user: string;
  readonly role: AclRole;
  /** Words after `ACL SETUSER <user>`. None of them is a password: without one nobody can log in. */
  readonly rules: readonly string[];
}

/**
 * The users of an install. A user that exists keeps its passwords.
 * @param queue - the only queue that they may touch; default: all
 * @param sourceOf - text of a script
 */
export function aclUsers(
  prefix: string,
  queue: string | undefined,
  sourceOf: (name: ScriptName) => string,
): readonly AclUser[] {
  const { queues, lock } = installKeys(prefix);
  return ACL_ROLES.map((role) => {
    const { scripts, commands, locks } = ROLE_RIGHTS[role];
    const inScripts = scripts.flatMap((name) => commandsOfScript(sourceOf(name)));
    const all = [...new Set([...CONNECTION_COMMANDS, ...commands, ...inScripts])].sort();
    return {
      user: `${prefix}-${role}`,
      role,
      rules: [
        ...['on', 'resetkeys', 'resetchannels', '-@all', `~${queueKeys(prefix, queue ?? '*').base}*`],
        `${commands.includes('smembers') ? '~' : '%W~'}${queues}`,
        ...(locks ? [`~${lock('*')}`] : []),
        ...all.map((command) => `+${command}`),
      ],
    };
  });
}
