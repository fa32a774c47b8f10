/** Which schedules a queue takes, and what its owner and its neighbour are told when it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultQueuePolicy, queuePolicyOf } from '../../../src/controller/tenancy.ts';

const POLICY = queuePolicyOf({
  queues: [
    { name: 'default', namespaces: ['*'], tasks: ['*'] },
    { name: 'heavy', namespaces: ['team-a', 'team-b'], tasks: ['crunch', 'report'] },
    { name: 'mail', namespaces: ['*'], tasks: ['send-mail'] },
  ],
});
const ask = (namespace: string, queue: string, task: string, policy = POLICY): string | undefined =>
  policy({ namespace, name: 'nightly', queue, task });

test('what is listed, by name or by *, is taken', () => {
  assert.equal(ask('anyone', 'default', 'anything'), undefined);
  assert.equal(ask('team-b', 'heavy', 'report'), undefined);
  assert.equal(ask('team-c', 'mail', 'send-mail'), undefined);
});

test('another namespace is refused, and told who can change that and where it would be taken', () => {
  assert.equal(
    ask('team-c', 'heavy', 'crunch'),
    'spec.queue: queue "heavy" takes no schedules from namespace "team-c": ask whoever runs the controller to add it to the namespaces of "heavy" (--queues-file); "default" would take it',
  );
});

test('another task is refused', () => {
  assert.equal(
    ask('team-a', 'heavy', 'send-mail'),
    'spec.queue: queue "heavy" takes no schedules of task "send-mail": ask whoever runs the controller to add it to the tasks of "heavy" (--queues-file); "default", "mail" would take it',
  );
});

test('a queue that is not listed takes nothing', () => {
  assert.match(
    ask('team-a', 'typo', 'crunch') ?? '',
    /^spec\.queue: queue "typo" takes no schedules: ask .* to list it/,
  );
  const none = queuePolicyOf({ queues: [] });
  assert.equal(
    ask('team-a', 'default', 'crunch', none),
    'spec.queue: queue "default" takes no schedules: ask whoever runs the controller to list it (--queues-file)',
  );
});

test('a name that an object inherits is no entry', () => {
  assert.match(ask('team-a', 'constructor', 'crunch') ?? '', /takes no schedules/);
});

test('where nothing is configured, the default queue takes the namespace of the controller, and nothing else is taken', () => {
  const policy = defaultQueuePolicy('tidemill');
  assert.equal(ask('tidemill', 'default', 'anything', policy), undefined);
  assert.match(ask('team-a', 'default', 'anything', policy) ?? '', /from namespace "team-a"/);
  assert.match(ask('tidemill', 'heavy', 'anything', policy) ?? '', /queue "heavy" takes no schedules/);
});
