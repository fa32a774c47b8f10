/**
 * One connection pool for everything that is sent to the API server. The client library makes a new one, and with it a new
 * TLS connection, for every request: the first it makes is kept, with whatever it knows of CAs, certificates and proxies,
 * and given to all the others.
 */
import { statSync } from 'node:fs';
import type { KubeConfig, RequestContext } from '@kubernetes/client-node';
import type { Clock } from '../runtime/clock.ts';

type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>;

export class SharedDispatcher {
  readonly #config: KubeConfig;
  readonly #clock: Clock;
  readonly #authenticate: (context: RequestContext) => Promise<void>;
  #current: Dispatcher | undefined;
  /** State of the files that `#current` was built from. */
  #builtFrom = '';
  /** Monotonic time at which the server last sent anything through `#current`. */
  #heardAtMs: number;
  #closed = false;

  /** Takes over `config.applySecurityAuthentication`, so that all who use that configuration share the pool. */
  constructor(config: KubeConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.#heardAtMs = clock.monotonic();
    this.#authenticate = config.applySecurityAuthentication.bind(config);
    config.applySecurityAuthentication = (context) => this.apply(context);
  }

  /** Puts the credentials of this moment and the shared pool on a request. */
  async apply(context: RequestContext): Promise<void> {
    await this.#authenticate(context);
    const built = context.getDispatcher();
    if (built === undefined || this.#closed) return; // without TLS options of its own, requests share the process's pool
    const files = this.#fileStamps();
    if (this.#current === undefined || files !== this.#builtFrom) {
      // What runs on the former pool may finish there: a CA that was replaced does not unmake a connection.
      void this.#current?.close().catch(() => undefined);
      this.#current = built;
      this.#builtFrom = files;
      this.#heardAtMs = this.#clock.monotonic();
    }
    context.setDispatcher(this.#current);
  }

  /** The server sent something. */
  heard(): void {
    this.#heardAtMs = this.#clock.monotonic();
  }

  /**
   * A request sent at this time had no answer. When nothing else was heard since, the connection is taken for dead: over
   * HTTP/2 all requests share it, and it would go on to swallow them until the kernel gives up, a quarter of an hour later.
   */
  unanswered(sentAtMs: number): void {
    if (this.#heardAtMs >= sentAtMs || this.#current === undefined) return;
    const dead = this.#current;
    this.#current = undefined;
    void dead.destroy().catch(() => undefined);
  }

  /** Ends all connections, and what runs on them. */
  async close(): Promise<void> {
    this.#closed = true;
    const last = this.#current;
    this.#current = undefined;
    await last?.destroy();
  }

  #fileStamps(): string {
    const user = this.#config.getCurrentUser();
    return [this.#config.getCurrentCluster()?.caFile, user?.certFile, user?.keyFile].map(stampOf).join(' ');
  }
}

function stampOf(file: string | undefined): string {
  if (file === undefined || file === '') return '-';
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? '?' : `${stat.ino}:${stat.mtimeMs}:${stat.size}`;
}
