/** Checks the URL of a Redis before anything tries to connect: a wrong one would only say "connection refused" later. */

export const REDIS_URL_RULE =
  'must be redis://[user:password@]host[:port][/database] (or rediss://), with characters such as @ / # ? % in a password percent-encoded';

const LAST_DATABASE = 1_000_000;

/** The text itself when it is the URL of a Redis. */
export function readRedisUrl(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:')) return undefined;
  const { hostname, port, pathname, search, hash, username, password } = url;
  // An unescaped # ? or / in a password ends the host early: the rest turns up here.
  const isWhole = hostname !== '' && port !== '0' && search === '' && hash === '';
  return isWhole && isDatabase(pathname) && isDecodable(username) && isDecodable(password) ? text : undefined;
}

function isDatabase(pathname: string): boolean {
  if (pathname === '' || pathname === '/') return true;
  return /^\/[0-9]{1,7}$/.test(pathname) && Number(pathname.slice(1)) <= LAST_DATABASE;
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
