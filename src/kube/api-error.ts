/** What went wrong with a call to the API server, read once from whatever was thrown. */
import { ApiException } from '@kubernetes/client-node';
import { z } from 'zod';
import { type ErrorCode, messageOf, TidemillError } from '../runtime/errors.ts';
import { retryAfterMs } from './backoff.ts';

export interface ApiStatus {
  /** HTTP status; absent when no answer came. */
  readonly code?: number;
  /** The server's word for it (`Conflict`, `Expired` …), or that of the network (`ECONNREFUSED` …). */
  readonly reason?: string;
  /** For people. Never the message of the exception, which holds the whole body and all headers. */
  readonly message: string;
  readonly details?: StatusDetails;
  /** The server asks not to be called again before this has passed, ms. */
  readonly retryAfterMs?: number;
}

const StatusDetailsSchema = z.object({
  retryAfterSeconds: z.number().nonnegative().optional(),
  causes: z
    .array(
      z.object({
        field: z.string().optional(),
        message: z.string().optional(),
        reason: z.string().optional(),
      }),
    )
    .optional(),
});
export type StatusDetails = z.output<typeof StatusDetailsSchema>;

const StatusSchema = z.object({
  code: z.number().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  details: StatusDetailsSchema.optional().catch(undefined),
});

/** A body that is no Status, such as the page of a proxy, is quoted this far. */
const QUOTED_LENGTH = 200;

/**
 * Reads an exception of the generated clients, of the network, or ours with one of those as its cause.
 * @param nowMs - wall clock, for a `Retry-After` that is a date
 */
export function apiStatusOf(error: unknown, nowMs = 0): ApiStatus {
  if (error instanceof TidemillError && error.cause !== undefined) return apiStatusOf(error.cause, nowMs);
  if (error instanceof ApiCallError) return apiStatusOf(error.exception, nowMs);
  if (error instanceof ApiException) {
    const status = bodyStatus(error.body);
    const waitMs = waitOf(headersOf(error.headers), status.details, nowMs);
    return { ...status, code: error.code, ...(waitMs !== undefined && { retryAfterMs: waitMs }) };
  }
  const reason = networkReason(error);
  return { message: networkMessage(error), ...(reason !== undefined && { reason }) };
}

/** The object of an ERROR event of a watch. */
export function statusOfEvent(object: unknown): ApiStatus {
  return bodyStatus(object);
}

/** For a user: the same as an error with a code and advice. @param doing - such as "list ScheduledTasks in team-a" */
export function kubeError(error: unknown, doing: string): TidemillError {
  if (error instanceof TidemillError) return error;
  const status = apiStatusOf(error);
  return new TidemillError(codeOf(status), `cannot ${doing}: ${answerOf(status)}`, { cause: causeOf(error) });
}

/** Where `KubeHttp` notes the request in an answer, since the exceptions of the generated clients do not know it. */
export const REQUEST_HEADER = 'x-tidemill-request';

/**
 * A call that was answered with a failure, as it may stand in a log: status, reason, message and request in one line. The
 * exception of the client, whose message holds the body and all headers, stays behind it for `apiStatusOf`.
 */
export class ApiCallError extends Error {
  override readonly name = 'ApiCallError';
  /** HTTP status. */
  readonly code: number;
  readonly #exception: ApiException<unknown>;

  constructor(exception: ApiException<unknown>) {
    const request = headersOf(exception.headers)[REQUEST_HEADER];
    const answer = answerOf(bodyStatus(exception.body));
    super(`${exception.code} ${answer}${request === undefined ? '' : ` (${request})`}`);
    this.code = exception.code;
    this.#exception = exception;
    // It was made by generated code, whatever the call was.
    delete this.stack;
  }

  get exception(): ApiException<unknown> {
    return this.#exception;
  }
}

/** What may be the cause of an error of ours: one line of an answer, and whatever else was thrown as it is. */
export function causeOf(error: unknown): unknown {
  return error instanceof ApiException ? new ApiCallError(error) : error;
}

export const CRD_HINT = 'the CRD is not installed: `tidemill crd | kubectl apply --server-side -f -`';

/** What to do about an answer that is about credentials and rights. */
export function rightsHint({ code }: ApiStatus): string | undefined {
  if (code === 401) return 'the token is not accepted';
  return code === 403 ? '`tidemill rbac` prints the rights that are needed' : undefined;
}

/** Reason and message in one. */
export function answerOf({ reason, message }: ApiStatus): string {
  return reason === undefined || message.includes(reason) ? message : `${reason}: ${message}`;
}

function codeOf({ code }: ApiStatus): ErrorCode {
  if (code === undefined || code === 429 || code >= 500) return 'KUBE_UNAVAILABLE';
  return code === 401 || code === 403 ? 'KUBE_FORBIDDEN' : 'KUBE_REFUSED';
}

function bodyStatus(body: unknown): ApiStatus {
  const value = typeof body === 'string' ? parsedJson(body) : body;
  const { data } = StatusSchema.safeParse(value);
  if (data === undefined) return { message: quoted(body) };
  const { code, reason, message = 'no message', details } = data;
  return {
    message,
    ...(code !== undefined && { code }),
    ...(reason !== undefined && reason !== '' && { reason }),
    ...(details !== undefined && { details }),
  };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function quoted(body: unknown): string {
  const text = typeof body === 'string' ? body.trim() : '';
  return text === '' ? 'the answer has no body' : text.slice(0, QUOTED_LENGTH).replaceAll(/\s+/g, ' ');
}

function headersOf(headers: unknown): Readonly<Record<string, string>> {
  return z.record(z.string(), z.string()).safeParse(headers).data ?? {};
}

function waitOf(
  headers: Readonly<Record<string, string>>,
  details: StatusDetails | undefined,
  nowMs: number,
): number | undefined {
  const seconds = details?.retryAfterSeconds;
  return retryAfterMs(headers, nowMs) ?? (seconds === undefined ? undefined : seconds * 1_000);
}

/** `fetch failed` says nothing: the reason stands in a cause below it. */
function networkReason(error: unknown): string | undefined {
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; inner = inner.cause, depth += 1) {
    if ('code' in inner && typeof inner.code === 'string' && !(inner instanceof TidemillError))
      return inner.code;
  }
  return undefined;
}

/** The cause of several addresses that all refuse has no message of its own. */
function networkMessage(error: unknown): string {
  const cause = error instanceof TypeError && error.cause !== undefined ? messageOf(error.cause) : '';
  return cause === '' ? messageOf(error) : cause;
}
