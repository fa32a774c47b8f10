#!/usr/bin/env node
import { start } from './start.js';

start('cli/launch', 'launch');
