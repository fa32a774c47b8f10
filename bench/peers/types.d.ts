/**
 * As much of the peers as the benches use, in our own words: the checks of this repository run without them installed.
 * An ambient module wins over an installed one, so these hold in both cases.
 */
declare module 'bullmq' {
  import type { Redis } from 'ioredis';

  export interface Job<Data = unknown> {
    readonly id?: string;
    readonly data: Data;
  }
  interface KeepJobs {
    readonly count: number;
  }
  interface JobOptions {
    readonly removeOnComplete?: boolean | KeepJobs;
    readonly removeOnFail?: boolean | KeepJobs;
  }
  export class Queue<Data = unknown> {
    constructor(name: string, options: { connection: Redis; defaultJobOptions?: JobOptions });
    add(name: string, data: Data): Promise<Job<Data>>;
    addBulk(jobs: readonly { name: string; data: Data }[]): Promise<Job<Data>[]>;
    waitUntilReady(): Promise<unknown>;
    close(): Promise<void>;
  }
  interface WorkerOptions {
    connection: Redis;
    concurrency?: number;
    removeOnComplete?: KeepJobs;
    removeOnFail?: KeepJobs;
  }
  export class Worker<Data = unknown> {
    /** @param processor - a function, or the file of a sandboxed processor */
    constructor(
      name: string,
      processor: ((job: Job<Data>) => Promise<unknown>) | URL,
      options: WorkerOptions,
    );
    waitUntilReady(): Promise<unknown>;
    on(event: 'error' | 'failed', listener: (...details: readonly unknown[]) => void): this;
    close(): Promise<void>;
  }
}

declare module 'bee-queue' {
  export interface Job<Data = unknown> {
    readonly data: Data;
    save(): Promise<this>;
  }
  interface Settings {
    redis: string;
    isWorker?: boolean;
    getEvents?: boolean;
    sendEvents?: boolean;
    storeJobs?: boolean;
    removeOnSuccess?: boolean;
  }
  export default class Queue<Data = unknown> {
    constructor(name: string, settings: Settings);
    createJob(data: Data): Job<Data>;
    saveAll(jobs: readonly Job<Data>[]): Promise<Map<Job<Data>, Error>>;
    process(concurrency: number, handler: (job: Job<Data>) => Promise<unknown>): void;
    ready(): Promise<this>;
    close(): Promise<void>;
  }
}
