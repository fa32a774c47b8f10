/** `tidemill` from the sources, whatever `dist/` holds: the binary prefers what was built. */
import { launch } from '../../src/cli/launch.ts';

await launch();
