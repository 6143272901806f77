// Runs a command as a member of the process group that this process leads, and ends the whole group with the command, or when its own
// starter has died: a test that was interrupted leaves no service process behind. Reports the exit code through its channel.
import { spawn } from 'node:child_process';

const [command, ...args] = process.argv.slice(2);
const endGroup = (): void => void process.kill(-process.pid, 'SIGKILL');
process.on('disconnect', endGroup);
const child = spawn(command!, args, { stdio: ['ignore', 'inherit', 'inherit'] });
child.once('error', (error) => process.send!({ code: null, error: error.message }, endGroup));
child.once('exit', (code) => process.send!({ code }, endGroup));
