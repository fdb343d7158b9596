// How TypeScript becomes JavaScript, for the extension and for the views.
module.exports = {
  test: /\.ts$/,
  loader: 'builtin:swc-loader',
  options: { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } },
  type: 'javascript/auto'
};
