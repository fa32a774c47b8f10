import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXIT, exitCodeOf } from '../../../src/cli/exit-codes.ts';
import { reportError } from '../../../src/cli/report-error.ts';
import { ProblemsError, TidemillError } from '../../../src/runtime/errors.ts';
import { fakeIo } from '../../support/fake-io.ts';

function report(error: unknown, json = false): { code: number; stderr: string } {
  const { io, stderr } = fakeIo();
  return { code: reportError(error, io, json), stderr: stderr() };
}

describe('errors of commands', () => {
  test('each kind has its exit code', () => {
    assert.equal(exitCodeOf('BROKER_UNAVAILABLE'), EXIT.unavailable);
    assert.equal(exitCodeOf('KUBE_UNAVAILABLE'), EXIT.unavailable);
    assert.equal(exitCodeOf('BROKER_UNSUITABLE'), EXIT.config);
    assert.equal(exitCodeOf('TASKS_NOT_LOADED'), EXIT.config);
    assert.equal(exitCodeOf('PARAMS_INVALID'), EXIT.usage);
    assert.equal(exitCodeOf('RUN_NOT_FOUND'), EXIT.failure);
  });

  test('causes are told when the message does not tell them already', () => {
    const inner = new Error('ECONNREFUSED 127.0.0.1:6379');
    const told = report(
      new TidemillError('BROKER_UNAVAILABLE', 'no answer', { cause: new Error('gave up', { cause: inner }) }),
    );
    assert.equal(
      told.stderr,
      'error: no answer\n  because: gave up\n  because: ECONNREFUSED 127.0.0.1:6379\n',
    );
    const repeated = report(
      new TidemillError('TASKS_NOT_LOADED', 'cannot load: boom', { cause: new Error('boom') }),
    );
    assert.equal(repeated.stderr, 'error: cannot load: boom\n');
  });

  test('a chain of causes that bites its own tail ends', () => {
    const loop = new TidemillError('INTERNAL', 'loop');
    loop.cause = loop;
    assert.equal(report(loop).stderr, 'error: loop\n');
  });

  test('what is not ours is shown with its stack, and as a defect', () => {
    const { code, stderr } = report(new TypeError('x is not a function'));
    assert.equal(code, 1);
    assert.match(stderr, /TypeError: x is not a function\n {4}at [^]*defect in tidemill/);
  });

  test('nothing in them is obeyed by a terminal: not the message, a cause, a problem or a stack', () => {
    const hostile = '\x1b]0;owned\x07\x1b[2J\rok\x00\x9b31m\u202edesrever\u2028next\x7f';
    const thrown = [
      new TidemillError('INTERNAL', hostile, { cause: new Error(hostile.repeat(2)) }),
      new ProblemsError('MANIFEST_INVALID', hostile, [{ at: hostile, message: hostile }]),
      new TypeError(hostile),
      hostile,
    ];
    for (const error of thrown) {
      for (const json of [false, true]) {
        const { stderr } = report(error, json);
        assert.doesNotMatch(stderr, /[^\P{Cc}\n]|[\u2028-\u202e]/u);
        assert.match(stderr, /\\u001b\]0;owned\\u0007/);
        assert.match(stderr, /\\u202edesrever\\u2028next\\u007f/);
      }
    }
  });

  test('a line break of somebody else makes no line that looks like one of ours', () => {
    const { stderr } = report(new TidemillError('RUN_FAILED', 'no\r\nerror: all is well'));
    assert.equal(stderr, 'error: no\\u000d\n  error: all is well\n');
  });

  test('with --json it is one line with code, message and problems', () => {
    const error = new ProblemsError('MANIFEST_INVALID', 'wrong:', [{ at: 'a.yaml:3', message: 'bad\nline' }]);
    const { code, stderr } = report(error, true);
    assert.equal(code, 78);
    assert.equal(stderr.split('\n').length, 2);
    assert.deepEqual(JSON.parse(stderr), {
      error: {
        code: 'MANIFEST_INVALID',
        message: 'wrong:\n  a.yaml:3: bad\nline',
        problems: [{ at: 'a.yaml:3', message: 'bad\nline' }],
      },
    });
  });
});
