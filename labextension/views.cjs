// Builds each view once more as an ES module of its own, with the styles in views.css: what notebooks outside JupyterLab show.
//   node views.cjs [FOLDER [VIEW ...]]
const fs = require('fs');
const path = require('path');
const { rspack } = require('@rspack/core');

const views = path.join(__dirname, 'src', 'views');
const [folder = '../jupyter_mlops/surfaces/widgets/static', ...chosen] = process.argv.slice(2);
const output = path.resolve(__dirname, folder);
const all = fs.readdirSync(views).filter(file => file.endsWith('.ts')).map(file => path.basename(file, '.ts'));
const names = chosen.length ? chosen : all;
const styles = { ...require('./styles.cjs').rule, type: 'asset/resource', generator: { filename: 'views.css' } };

rspack(
  {
    mode: 'production',
    devtool: false,
    context: __dirname,
    entry: {
      ...Object.fromEntries(names.map(name => [name, path.join(views, `${name}.ts`)])),
      styles: path.join(__dirname, 'style', 'index.css')
    },
    output: { path: output, filename: '[name].js', module: true, library: { type: 'module' }, clean: true },
    resolve: { extensions: ['.ts', '.js'] },
    optimization: { moduleIds: 'named', chunkIds: 'named', splitChunks: false, runtimeChunk: false },
    module: { rules: [require('./swc.cjs'), styles] }
  },
  (error, stats) => {
    if (error || stats.hasErrors()) {
      console.error(error || stats.toString({ all: false, errors: true }));
      process.exit(1);
    }
    // The module that only tells where the style sheet lies.
    fs.rmSync(path.join(output, 'styles.js'), { force: true });
  }
);
