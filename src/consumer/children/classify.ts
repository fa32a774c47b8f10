/** Names how a run ended whose child did not report a result: from the exit, its last words, and what we did to it. */
import type { AttemptResult } from '../../task/invoke.ts';
import type { FailureReason, RunError } from '../../task/run.ts';
import { messageOf } from '../../runtime/errors.ts';
import { StopError, type StopKind } from '../stop-error.ts';

/** Why a run was aborted, as its signal says. */
export interface StopCause {
  readonly kind: StopKind;
  readonly message: string;
}

/** Why we ended a child that had a run. The first cause stands: what happens after it is a consequence. */
export type EndCause =
  | StopCause
  /** It broke the protocol: what it says cannot be trusted any more. */
  | { readonly kind: 'protocol'; readonly message: string };

/** @param reason - of an aborted signal; what is no `StopError` counts as a shutdown: nobody is to blame then */
export function stopCauseOf(reason: unknown): StopCause {
  const { kind, message } =
    reason instanceof StopError ? reason : new StopError('shutdown', messageOf(reason));
  return { kind, message };
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to stderr. */
  readonly stderrTail: string;
}

/** V8 at a limit of its memory: the line that it prints before it aborts. */
const OUT_OF_MEMORY = /^(?:#\s*)?fatal\b.*out of memory/im;
/** How an abort looks: by signal, or as a shell or container reports it. V8 ends some of its fatal errors by a trap. */
const ABORT_SIGNALS: readonly string[] = ['SIGABRT', 'SIGTRAP', 'SIGILL'];
const ABORT_CODES: readonly number[] = [133, 134];
/** Node's code for a top-level await that never settles. */
const UNSETTLED_AWAIT_CODE = 13;

const TAIL_MAX_LENGTH = 400;
const MESSAGE_MAX_LENGTH = 1_024;

/** @param cause - why we ended the child, if we did: the first cause stands, its exit is only the consequence */
export function classifyExit(exit: ChildExit, cause: EndCause | undefined): AttemptResult {
  return cause === undefined ? failure(ownEnd(exit)) : endedBy(cause);
}

function endedBy(cause: EndCause): AttemptResult {
  if (cause.kind === 'cancelled') return { kind: 'cancelled', reason: cause.message };
  return failure(forcedEnd(cause));
}

function failure({ reason, message }: Verdict): AttemptResult {
  const error: RunError = { reason, name: 'ChildExitError', message: message.slice(0, MESSAGE_MAX_LENGTH) };
  return { kind: 'failed', error, retry: 'policy' };
}

interface Verdict {
  readonly reason: FailureReason;
  readonly message: string;
}

function forcedEnd(cause: EndCause): Verdict {
  if (cause.kind === 'timeout') return { reason: 'Timeout', message: cause.message };
  if (cause.kind === 'protocol') {
    return { reason: 'Lost', message: `the child process was ended: ${cause.message}` };
  }
  return { reason: 'Killed', message: `the child process was ended: ${cause.message}` };
}

function ownEnd(exit: ChildExit): Verdict {
  const { code, signal, stderrTail } = exit;
  if (isAbort(exit) && OUT_OF_MEMORY.test(stderrTail)) {
    return {
      reason: 'HeapOutOfMemory',
      message: 'the child process reached its heap limit; give it a larger one or hold less at a time',
    };
  }
  if (signal === 'SIGKILL') {
    return {
      reason: 'Killed',
      message:
        'the child process was killed by SIGKILL, not by Tidemill; often this is the memory limit of the container',
    };
  }
  if (signal !== null)
    return { reason: 'Killed', message: `the child process was ended by ${signal}${lastWords(stderrTail)}` };
  if (code === 0 || code === UNSETTLED_AWAIT_CODE) {
    return {
      reason: 'ExitedSilently',
      message: `the child process ended with code ${code} and no result; a task must return, not exit`,
    };
  }
  if (code !== null) {
    return {
      reason: 'Crashed',
      message: `the child process ended with code ${code}${lastWords(stderrTail)}`,
    };
  }
  return { reason: 'Lost', message: 'the child process went away and nobody can say how' };
}

function isAbort({ code, signal }: ChildExit): boolean {
  return signal === null ? code !== null && ABORT_CODES.includes(code) : ABORT_SIGNALS.includes(signal);
}

function lastWords(stderrTail: string): string {
  const words = stderrTail.trim().slice(-TAIL_MAX_LENGTH).trim();
  return words === '' ? '' : `; its last output: ${words}`;
}
