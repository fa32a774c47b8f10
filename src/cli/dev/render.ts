/** Events and log lines of `dev` as lines for a person: time, mark, subject, what happened. */
import { unreachable } from '../../runtime/errors.ts';
import { plural, printable, shorten, showDuration } from '../format.ts';
import { type Io, type Style, styled } from '../io.ts';
import type { DevEvent, RunEvent } from './events.ts';

const SUBJECT_WIDTH = 28;
const ERROR_LENGTH = 160;

interface Line {
  readonly mark: string;
  readonly style: Style;
  readonly subject: string;
  readonly text: string;
}

export function renderEvent(event: DevEvent, io: Pick<Io, 'color'>): string {
  return renderLine(event.atMs, lineOf(event), io);
}

export function renderLine(
  atMs: number,
  { mark, style, subject, text }: Line,
  io: Pick<Io, 'color'>,
): string {
  const time = styled(io, 'dim', clockTime(atMs));
  return `${time} ${styled(io, style, mark)} ${printable(subject).padEnd(SUBJECT_WIDTH)} ${printable(text)}\n`;
}

/** Local time of the day: what the watch of the person in front of it says. */
function clockTime(ms: number): string {
  return new Intl.DateTimeFormat('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
  }).format(ms);
}

function lineOf(event: DevEvent): Line {
  switch (event.event) {
    case 'started':
      return processLine(
        `tidemill ${event.version}`,
        `${plural(event.tasks.length, 'task')}, memory broker, ${event.http}`,
      );
    case 'mended':
      return processLine('manifests', 'are all valid again');
    case 'waiting':
      return processLine('waiting', `for a change beside ${event.tasks.join(', ')}; Ctrl-C stops`);
    case 'restarting':
      return processLine('restarting', `${event.file} has changed; runs that wait are dropped`);
    case 'stopping':
      return processLine(
        'stopping',
        event.running === 0
          ? 'nothing is running'
          : `${plural(event.running, 'run')} may end first; Ctrl-C again ends at once`,
      );
    case 'problem':
      return { mark: '!', style: 'red', subject: event.at, text: event.message };
    case 'blocked':
      return blockedLine(event.task, event.lagMs);
    case 'run': {
      const line = runLine(event);
      return event.schedule === undefined ? line : { ...line, text: `${line.text} · ${event.schedule}` };
    }
    default:
      return scheduleLine(event);
  }
}

function processLine(subject: string, text: string): Line {
  return { mark: '●', style: 'bold', subject, text };
}

function blockedLine(task: string | undefined, lagMs: number): Line {
  const advice = task === undefined ? '' : ': it wants cpuBound: true';
  return {
    mark: '!',
    style: 'yellow',
    subject: task ?? 'event loop',
    text: `blocked the event loop for ${showDuration(lagMs)}${advice}`,
  };
}

type ScheduleEvent = Extract<
  DevEvent,
  { readonly schedule: string; readonly event: 'scheduled' | 'unscheduled' | 'fired' | 'skipped' | 'missed' }
>;

function scheduleLine(event: ScheduleEvent): Line {
  const subject = event.schedule;
  switch (event.event) {
    case 'scheduled':
      return {
        mark: '+',
        style: 'cyan',
        subject,
        text: `${event.timing} → ${event.task}${event.suspended ? ' (suspended)' : ''}`,
      };
    case 'unscheduled':
      return { mark: '-', style: 'cyan', subject, text: 'is gone' };
    case 'fired':
      return { mark: '▸', style: 'blue', subject, text: `fires ${event.task}${note(event)}` };
    case 'skipped':
      return {
        mark: '○',
        style: 'yellow',
        subject,
        text: `skipped${event.reason === undefined ? '' : `: ${event.reason}`}`,
      };
    case 'missed':
      return {
        mark: '○',
        style: 'yellow',
        subject,
        text: `missed ${plural(event.count, 'slot')}: ${event.reason}`,
      };
    default:
      return unreachable(event);
  }
}

function note({ reason, delayMs }: { readonly reason?: string; readonly delayMs: number }): string {
  const notes = [
    ...(reason === undefined ? [] : [reason]),
    ...(delayMs > 0 ? [`in ${showDuration(delayMs)}`] : []),
  ];
  return notes.length === 0 ? '' : ` (${notes.join(', ')})`;
}

function runLine(event: RunEvent): Line {
  const { outcome, task, attempt, durationMs, error = '', retryInMs = 0, reason = '' } = event;
  const took = showDuration(durationMs);
  const why = shorten(error, ERROR_LENGTH);
  const nth = attempt > 1 ? ` at attempt ${attempt}` : '';
  switch (outcome) {
    case 'succeeded':
      return { mark: '✔', style: 'green', subject: task, text: `succeeded in ${took}${nth}` };
    case 'failed':
      return { mark: '✖', style: 'red', subject: task, text: `failed after ${took}${nth}: ${why}` };
    case 'retry':
      return {
        mark: '↻',
        style: 'yellow',
        subject: task,
        text: `attempt ${attempt} failed after ${took}: ${why}; again in ${showDuration(retryInMs)}`,
      };
    case 'rejected':
      return { mark: '✖', style: 'red', subject: task, text: `refused its params: ${why}` };
    case 'cancelled':
      return {
        mark: '✖',
        style: 'dim',
        subject: task,
        text: `cancelled after ${took}: ${shorten(reason, ERROR_LENGTH)}`,
      };
    case 'released':
      return { mark: '✖', style: 'dim', subject: task, text: `given back after ${took}` };
    case 'lost':
      return { mark: '✖', style: 'red', subject: task, text: `lost after ${took}: its lease was gone` };
    default:
      return unreachable(outcome);
  }
}
