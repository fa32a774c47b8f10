// Plain syntax on purpose: an old Node must get as far as the sentence below.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { URL } from 'node:url';

/** Runs what `module` (below dist/, or in a checkout below src/) exports under `name`. */
export function start(module, name) {
  var major = Number(process.versions.node.split('.')[0]);
  if (major < 24) {
    process.stderr.write(
      'tidemill needs Node 24 or newer; this is Node ' +
        process.versions.node +
        ' (' +
        process.execPath +
        ').\n',
    );
    process.exit(78);
  }

  var built = new URL('../dist/' + module + '.js', import.meta.url);
  // In a checkout nothing is built, and Node runs the sources as they are.
  var main = existsSync(built) ? built : new URL('../src/' + module + '.ts', import.meta.url);

  import(main.href)
    .then(function (loaded) {
      return loaded[name]();
    })
    // Also of what the module loads only once it is called.
    .catch(function (error) {
      process.stderr.write('tidemill cannot start: ' + (error && error.stack ? error.stack : error) + '\n');
      process.exit(70);
    });
}
