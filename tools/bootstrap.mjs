// Runs on the Node that the machine has (20 or later) and without any package: installs what package-lock.json names, then runs a
// TypeScript program of this folder under the Node that came with the packages.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const TYPESCRIPT_RUNS_SINCE = [22, 18];

/** Ends this process with the program's exit code, or with 1 and one line when the packages cannot be installed. */
export async function runTool(program, args = process.argv.slice(2)) {
  try {
    if (!isInstalled()) await install();
    process.exitCode = await runUnder(findNode(), path.join(root, 'tools', program), args);
  } catch (error) {
    console.error(`concordat: ${error.message}`);
    process.exitCode = 1;
  }
}

/** Compares the lock file with npm's own record of what it put there; packages for other platforms may be absent. */
function isInstalled() {
  const wanted = readPackages('package-lock.json');
  const present = readPackages('node_modules/.package-lock.json');
  if (wanted === null) throw new Error('package-lock.json is missing: this is not a complete copy of the project');
  if (present === null) return false;
  return Object.entries(wanted).every(([name, entry]) => name === '' || present[name]?.version === entry.version || (entry.optional && present[name] === undefined));
}

function readPackages(file) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, file), 'utf8')).packages;
  } catch {
    return null;
  }
}

async function install() {
  const began = Date.now();
  const seconds = () => `${Math.round((Date.now() - began) / 1000)} s`;
  console.error('Installing packages (npm ci, about half a minute) ...');
  const timer = setInterval(() => console.error(`Installing packages ... ${seconds()}`), 10_000);
  // npm tells its scripts where it lies; under another package manager, or none, it is the one of the PATH.
  const npm = (process.env.npm_execpath ?? '').endsWith('npm-cli.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  let output = '';
  try {
    const child = spawn(npm[0], [...npm.slice(1), 'ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { output += bytes; });
    const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
    if (code !== 0) throw new Error(`exit code ${code}`);
  } catch (error) {
    process.stderr.write(output);
    throw new Error(`npm ci failed (${error.code === 'ENOENT' ? 'npm was not found' : error.message}): check the network and that ${root} can be written to, then start again`);
  } finally {
    clearInterval(timer);
  }
  console.error(`Installed packages in ${seconds()}.`);
}

/** The packages bring a Node of their own; its install script does not run where scripts are off. */
function findNode() {
  const candidates = [path.join(root, 'node_modules', '.bin', 'node'), process.execPath];
  const found = candidates.find((node) => {
    const [major, minor] = (spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout ?? '').split('.').map(Number);
    return major > TYPESCRIPT_RUNS_SINCE[0] || (major === TYPESCRIPT_RUNS_SINCE[0] && minor >= TYPESCRIPT_RUNS_SINCE[1]);
  });
  if (found === undefined) throw new Error(`the package "node" was installed without its program (does npm run with ignore-scripts?): run npm rebuild node, or use Node ${TYPESCRIPT_RUNS_SINCE.join('.')} or later`);
  return found;
}

/**
 * The program gets its signals through here, and learns through the closing channel when this process died. A shell's Ctrl-C reaches
 * both of us at once, and npm passes it on once more: the program has to bear a repeated signal.
 */
function runUnder(node, program, args) {
  const PATH = [path.dirname(node), process.env.PATH].join(path.delimiter);
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', program, ...args], { cwd: root, env: { ...process.env, PATH }, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const watch = watchNpm(() => { if (child.connected) child.disconnect(); });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearInterval(watch);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}

/**
 * npm killed with -9 (or by a signal that it does not wait for) cannot tell us: we, or the shell between us, are handed to another
 * parent then. Without npm nobody is watched: who starts this in the background and leaves wants it to go on.
 */
function watchNpm(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return undefined;
  const parent = process.ppid;
  const beyond = /(^|\/)(sh|dash|bash|zsh|ash|busybox)$/.test(columnOf(parent, 'comm')) ? columnOf(parent, 'ppid') : null;
  const timer = setInterval(() => {
    if (process.ppid === parent && (beyond === null || columnOf(parent, 'ppid') === beyond)) return;
    clearInterval(timer);
    onGone();
  }, 500);
  timer.unref();
  return timer;
}

/** The command name or the parent's pid of a process, as text. */
function columnOf(pid, column) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const end = stat.lastIndexOf(')');
    return column === 'comm' ? stat.slice(stat.indexOf('(') + 1, end) : stat.slice(end + 2).split(' ')[1];
  } catch {
    return (spawnSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '').trim();
  }
}
