/** Writes statuses by server-side apply; says what became of each write in the words that the controller knows. */
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../telemetry/log.ts';
import { apiStatusOf } from './api-error.ts';
import { isRefusal, KubeBusyError } from './busy-error.ts';
import type { ScheduledTasksApi, StatusWrite } from './scheduled-tasks.ts';

export interface KubeStatusStoreOptions {
  readonly tasks: Pick<ScheduledTasksApi, 'applyStatus'>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'error'>;
}

export class KubeStatusStore {
  readonly #options: KubeStatusStoreOptions;

  constructor(options: KubeStatusStoreOptions) {
    this.#options = options;
  }

  /**
   * @returns `conflict`: the object has another version by now; `gone`: there is none; `refused`: the server does not take
   *   this status, which is logged with the field
   * @throws KubeBusyError when the server is out of reach, overloaded, or does not let us
   */
  async apply(write: StatusWrite): Promise<'applied' | 'conflict' | 'gone' | 'refused'> {
    const { tasks, clock, log } = this.#options;
    const { namespace, name } = write;
    try {
      const { kind } = await tasks.applyStatus(write);
      return kind;
    } catch (error) {
      if (!isRefusal(error))
        throw new KubeBusyError(error, `write the status of ${namespace}/${name}`, clock.now());
      const { code, reason, message, details } = apiStatusOf(error);
      const fields = details?.causes?.flatMap(({ field }) => field ?? []);
      log.error('the API server refused a status', {
        object: `${namespace}/${name}`,
        code,
        reason,
        problem: message,
        fields,
      });
      return 'refused';
    }
  }
}
