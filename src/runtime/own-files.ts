/** The files of this package that are started as threads or processes of their own. The build has its own form of this file. */
import { extname } from 'node:path';

/**
 * From the sources or as built: with the extension that this file has.
 * @param path - below `src/`, without its extension
 */
export function ownFile(path: string): URL {
  return new URL(`../${path}${extname(import.meta.url)}`, import.meta.url);
}

/** What the URLs of all our own code begin with. */
export function ownRoot(): string {
  return new URL('../', import.meta.url).href;
}
