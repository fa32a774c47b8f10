/** Sends manifests to the API server as they are, many at a time: what kubectl would refuse itself, or take a process each for. */
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { GROUP, PLURAL, VERSION } from '../../../src/resource/scheduled-task.ts';
import type { ControlPlane } from '../../control-plane/control-plane.ts';
import { until } from '../../support/until.ts';

const ListSchema = z.object({ items: z.array(z.unknown()) });
const StatusSchema = z.object({ message: z.string().optional() });

export interface ApiAnswer {
  readonly code: number;
  /** Of a refusal. */
  readonly message: string;
}

export class RawApi implements Disposable {
  readonly #agent: Agent;
  readonly #url: string;
  readonly #token: string;

  private constructor(url: string, ca: Buffer, token: string) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: 8, ca });
    this.#url = url;
    this.#token = token;
  }

  /** As an account that may write ScheduledTasks in one namespace. */
  static async connect(plane: ControlPlane, namespace: string): Promise<RawApi> {
    const apiGroup = 'rbac.authorization.k8s.io';
    const metadata = { name: 'author', namespace };
    const rules = [{ apiGroups: [GROUP], resources: [PLURAL], verbs: ['*'] }];
    const subjects = [{ kind: 'ServiceAccount', ...metadata }];
    const { token } = await plane.serviceAccount(namespace, 'author', [
      { apiVersion: `${apiGroup}/v1`, kind: 'Role', metadata, rules },
      {
        ...{ apiVersion: `${apiGroup}/v1`, kind: 'RoleBinding', metadata, subjects },
        roleRef: { apiGroup, kind: 'Role', name: 'author' },
      },
    ]);
    const url = `${plane.url}/apis/${GROUP}/${VERSION}/namespaces/${namespace}/${PLURAL}`;
    return new RawApi(url, await readFile(plane.caFile), token);
  }

  /** Server-side apply of one manifest, checked as strictly as kubectl asks for. */
  apply(name: string, yaml: string): Promise<ApiAnswer> {
    const url = `${this.#url}/${encodeURIComponent(name)}?fieldManager=author&force=true&fieldValidation=Strict`;
    return this.#send('PATCH', url, 'application/apply-patch+yaml', yaml);
  }

  create(json: string): Promise<ApiAnswer> {
    return this.#send('POST', this.#url, 'application/json', json);
  }

  /** Compact, as no kubectl prints it. A server that was given another CRD answers 429 for a moment. */
  async list(): Promise<readonly unknown[]> {
    let refusal = '';
    return await until(
      'the objects are listed',
      async () => {
        const { code, body } = await this.#call('GET', this.#url);
        if (code === 200) return ListSchema.parse(JSON.parse(body)).items;
        refusal = `${code}: ${messageIn(body)}`;
        return undefined;
      },
      { describe: () => refusal },
    );
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #send(method: string, url: string, type: string, content: string): Promise<ApiAnswer> {
    const { code, body } = await this.#call(method, url, type, content);
    return { code, message: code < 300 ? '' : messageIn(body) };
  }

  #call(
    method: string,
    url: string,
    type = 'application/json',
    content = '',
  ): Promise<{ readonly code: number; readonly body: string }> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${this.#token}`, 'content-type': type };
      const call = request(url, { method, headers, agent: this.#agent, timeout: 30_000 }, (response) => {
        text(response).then((answered) => {
          resolve({ code: response.statusCode ?? 0, body: answered });
        }, reject);
      });
      call.on('timeout', () => call.destroy(new Error(`no answer to ${method} ${url}`)));
      call.on('error', reject);
      call.end(content);
    });
  }
}

function messageIn(body: string): string {
  try {
    return StatusSchema.parse(JSON.parse(body)).message ?? body;
  } catch {
    return body;
  }
}
