/** `tidemill` from the sources, whatever `dist/` holds: the binary prefers what was built. */
import { runProcess } from '../../src/cli/main.ts';

await runProcess();
