// Runs the unit tests of what needs no page, in tests/labextension/units: made into JavaScript, then given to Node's own test runner.
const fs = require('fs');
const os = require('os');
const path = require('path');
const { spawnSync } = require('child_process');
const { rspack } = require('@rspack/core');

const tests = path.resolve(__dirname, '../tests/labextension/units');
const output = fs.mkdtempSync(path.join(os.tmpdir(), 'units-'));
const names = fs.readdirSync(tests).filter(name => name.endsWith('.test.ts'));

rspack(
  {
    mode: 'none',
    target: 'node20',
    context: __dirname,
    entry: Object.fromEntries(names.map(name => [path.basename(name, '.ts'), path.join(tests, name)])),
    output: { path: output, filename: '[name].cjs' },
    resolve: { extensions: ['.ts', '.js'], modules: [path.join(__dirname, 'node_modules')] },
    module: { rules: [require('./swc.cjs')] }
  },
  (error, stats) => {
    if (error || stats.hasErrors()) {
      console.error(error || stats.toString({ all: false, errors: true }));
      process.exit(1);
    }
    const files = names.map(name => path.join(output, name.replace(/\.ts$/, '.cjs')));
    const run = spawnSync(process.execPath, ['--test', '--test-reporter=tap', ...files], { stdio: 'inherit' });
    fs.rmSync(output, { recursive: true });
    process.exit(run.status ?? 1);
  }
);
