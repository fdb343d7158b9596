// What the build of the JupyterLab extension needs beyond the builder's own settings.
module.exports = {
  context: __dirname,
  resolve: { extensions: ['.ts', '.js'] },
  // Names instead of numbers: the output then does not depend on where the sources lie.
  optimization: { moduleIds: 'named', chunkIds: 'named' },
  module: { rules: [require('./swc.cjs'), require('./styles.cjs').rule] }
};
