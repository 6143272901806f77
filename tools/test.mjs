// `npm test`. Must parse on old versions of Node too, to be able to say so.
import process from 'process';

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error('concordat: Node ' + process.versions.node + ' is too old: install Node 20 or later (https://nodejs.org, or nvm install 22) and run the tests again');
  process.exitCode = 1;
} else {
  void import('./bootstrap.mjs').then((bootstrap) => bootstrap.runTool('test.ts'));
}
