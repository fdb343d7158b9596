// The style sheet with those that it imports put in their places, made small: for the extension, and for the views.
const fs = require('fs');
const path = require('path');

function inlined(file, seen) {
  seen(file);
  return fs
    .readFileSync(file, 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/@import\s+(?:url\()?['"]([^'"]+)['"]\)?\s*;/g, (_, name) => inlined(path.join(path.dirname(file), name), seen));
}

module.exports = function () {
  return inlined(this.resourcePath, file => this.addDependency(file));
};

module.exports.rule = {
  test: /style[\\/]index\.css$/,
  enforce: 'pre',
  use: [{ loader: 'builtin:lightningcss-loader', options: { minify: true, targets: 'chrome 94' } }, { loader: __filename }]
};
