/**
 * The texts of the `.lua` files. The only module that reads them: the build replaces it by one with the texts inside, so that
 * what is published reads no file at run time.
 */
import { readFileSync } from 'node:fs';

/** @param path - below `lua/`, without its extension */
export function luaFile(path: string): string {
  return readFileSync(new URL(`./lua/${path}.lua`, import.meta.url), 'utf8');
}
