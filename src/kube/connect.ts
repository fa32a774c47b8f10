/** The connection to one API server: its clients, all over one pool of connections and one set of limits. */
import {
  CoordinationV1Api,
  createConfiguration,
  CustomObjectsApi,
  EventsV1Api,
  HttpMethod,
  type KubeConfig,
  RequestContext,
  type ResponseContext,
  ServerConfiguration,
  VersionApi,
  wrapHttpLibrary,
  type Configuration,
} from '@kubernetes/client-node';
import type { Clock } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';
import { KubeHttp } from './http.ts';
import { type ConfigSource, loadConfig } from './load-config.ts';
import { type KubeObserver, SILENT_KUBE_OBSERVER } from './observer.ts';
import { SharedDispatcher } from './shared-dispatcher.ts';
import { quoted } from '../runtime/printable.ts';

export interface ConnectOptions extends ConfigSource {
  readonly clock: Clock;
  /** Default 10 s. */
  readonly requestTimeoutMs?: number;
  readonly observer?: KubeObserver;
  /** Default `tidemill`. */
  readonly userAgent?: string;
  readonly random?: () => number;
}

const DEFAULT_NAMESPACE = 'default';

export class KubeConnection implements AsyncDisposable {
  /** Base URL, without a slash at its end. */
  readonly server: string;
  /** Of the context, or of the pod; else `default`. */
  readonly namespace: string;
  readonly config: KubeConfig;
  /** Reads are repeated while the server is busy or away, for 20 s: for whoever asks once. */
  readonly custom: CustomObjectsApi;
  /** Each call is one request: for loops that try again by themselves. The same holds for leases and events. */
  readonly customOnce: CustomObjectsApi;
  readonly coordination: CoordinationV1Api;
  readonly events: EventsV1Api;
  readonly version: VersionApi;
  readonly #dispatcher: SharedDispatcher;
  readonly #patient: KubeHttp;
  readonly #once: KubeHttp;

  constructor(config: KubeConfig, options: ConnectOptions) {
    const {
      clock,
      observer = SILENT_KUBE_OBSERVER,
      userAgent = 'tidemill',
      requestTimeoutMs,
      random,
    } = options;
    this.config = config;
    this.server = serverOf(config);
    this.namespace = namespaceOf(config);
    const dispatcher = new SharedDispatcher(config, clock);
    const http = {
      clock,
      dispatcher,
      observer,
      userAgent,
      ...(requestTimeoutMs !== undefined && { requestTimeoutMs }),
      ...(random !== undefined && { random }),
    };
    this.#dispatcher = dispatcher;
    this.#patient = new KubeHttp({ ...http, patient: true });
    this.#once = new KubeHttp({ ...http, patient: false });
    const patient = this.#configuration(this.#patient);
    const once = this.#configuration(this.#once);
    this.custom = new CustomObjectsApi(patient);
    this.version = new VersionApi(patient);
    this.customOnce = new CustomObjectsApi(once);
    this.coordination = new CoordinationV1Api(once);
    this.events = new EventsV1Api(once);
  }

  /**
   * Opens an answer that does not end, such as a watch; the signal ends it.
   * @param path - of the API, with a slash at its beginning
   */
  async stream(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<ResponseContext> {
    const request = new RequestContext(this.server + path, HttpMethod.GET);
    for (const [name, value] of Object.entries(query)) request.setQueryParam(name, value);
    await this.config.applySecurityAuthentication(request);
    return await this.#once.stream(request, signal);
  }

  /** Bytes of a stream came: the connection is alive. */
  heard(): void {
    this.#dispatcher.heard();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#patient.close();
    this.#once.close();
    await this.#dispatcher.close();
  }

  #configuration(http: KubeHttp): Configuration {
    return createConfiguration({
      baseServer: new ServerConfiguration(this.server, {}),
      authMethods: { default: this.config },
      httpApi: wrapHttpLibrary(http),
    });
  }
}

/**
 * Nothing is sent yet: whether the server is there shows at the first call.
 * @throws TidemillError CONFIG_INVALID when it does not become clear which server, or as whom
 */
export function connectKube(options: ConnectOptions): KubeConnection {
  return new KubeConnection(loadConfig(options), options);
}

function serverOf(config: KubeConfig): string {
  const server = config.getCurrentCluster()?.server;
  if (server !== undefined && URL.canParse(server)) return server.replace(/\/+$/, '');
  throw new TidemillError(
    'CONFIG_INVALID',
    `the kubeconfig names no server that is a URL: ${quoted(server ?? '')}`,
  );
}

function namespaceOf(config: KubeConfig): string {
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace?.trim();
  return namespace === undefined || namespace === '' ? DEFAULT_NAMESPACE : namespace;
}
