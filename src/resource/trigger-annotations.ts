/** The annotations by which a run is asked for. Both are set in one patch; taking them away again does nothing. */
import { GROUP } from './scheduled-task.ts';

/** Its value is the id of the request: a new value asks for a run, the same value never again. */
export const RUN_NOW = `${GROUP}/run-now`;
/** JSON object: the params of that run, instead of those of the object. */
export const RUN_NOW_PARAMS = `${GROUP}/run-now-params`;
/** As for the value of a label, so that a request can be one. */
export const REQUEST_MAX_LENGTH = 63;
