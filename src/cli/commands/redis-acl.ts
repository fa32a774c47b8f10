/** `tidemill redis-acl`: prints the users that Redis should have, each with the rights that its kind of process needs. */
import type { Command } from 'commander';
import { z } from 'zod';
import { addCommand, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { EXIT } from '../exit-codes.ts';
import { writeJson } from '../output.ts';
import { RedisAclSettings } from '../settings.ts';

export function addRedisAcl(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.redisAcl,
      details:
        'One line for each of producer, consumer, controller (scheduler) and operator (the commands for people), for redis-cli.\n' +
        'No line holds a password, and without one nobody can log in: add yours with ACL SETUSER <user> ">password". A user\n' +
        'that exists keeps its passwords, so that the lines can be applied again after an upgrade.',
      examples: ['tidemill redis-acl | redis-cli', 'tidemill redis-acl --prefix team-a --queue reports'],
      settings: RedisAclSettings,
      options: z.object({}),
      jsonHelp: 'print a list of { user, role, rules }',
      run: async ({ settings, json, io }) => {
        const { aclUsers } = await import('../../broker/redis/acl.ts');
        const { scriptSource } = await import('../../broker/redis/scripts.ts');
        const users = aclUsers(settings.prefix, settings.queue, scriptSource);
        if (json) writeJson(io, users);
        else for (const { user, rules } of users) io.stdout.write(`ACL SETUSER ${user} ${rules.join(' ')}\n`);
        return EXIT.ok;
      },
    },
    surroundings,
  );
}
