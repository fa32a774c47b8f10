/** What this room tells whoever watches it (metrics): called synchronously, must be quick and not throw. */

/** One exchange with the API server; a retry is another one. */
export interface RequestFinished {
  /** HTTP status; `undefined`: no answer came. */
  readonly code: number | undefined;
  readonly method: string;
  readonly host: string;
  /** To the end of the answer; for a watch to its first byte. */
  readonly durationMs: number;
}

export interface KubeObserver {
  requestFinished(event: RequestFinished): void;
}

/**
 * Why list and watch began anew:
 * - `gone`: the server no longer knows the version that we had read up to
 * - `rewound`: the server is at an older version than we are: its data was restored
 * - `silence`: nothing was heard for longer than a live server is silent
 * - `closed`: the server ended the watch in good order
 * - `relist`: it was time for the next full list
 * - `error`: anything else
 */
export type RestartReason = 'gone' | 'rewound' | 'silence' | 'closed' | 'relist' | 'error';

export interface InformerObserver {
  restarted(event: { readonly namespace: string; readonly reason: RestartReason }): void;
  /** An event of a watch, bookmarks included. */
  eventSeen(event: { readonly namespace: string; readonly type: string }): void;
  /** A full list succeeded. */
  listed(event: { readonly namespace: string; readonly objects: number; readonly durationMs: number }): void;
  /** What came cannot be taken for an object at all; the last good snapshot stays. */
  unreadable(event: { readonly namespace: string }): void;
}

export const SILENT_KUBE_OBSERVER: KubeObserver = { requestFinished: () => undefined };

export const SILENT_INFORMER_OBSERVER: InformerObserver = {
  restarted: () => undefined,
  eventSeen: () => undefined,
  listed: () => undefined,
  unreadable: () => undefined,
};
