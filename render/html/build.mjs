// Builds dist/report.js and dist/report.css, which the Go program embeds, and
// dist/sources.sha256, by which `go test ./render` sees whether they are old.
import {build} from 'esbuild';
import {createHash} from 'node:crypto';
import {readFileSync, readdirSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));
const options = {bundle: true, minify: true, charset: 'ascii', legalComments: 'none', target: ['chrome100', 'firefox100', 'safari15']};
await build({...options, entryPoints: ['src/main.ts'], format: 'iife', outfile: 'dist/report.js'});
await build({...options, entryPoints: ['src/report.css'], outfile: 'dist/report.css'});
const notice = `/*! Contains uPlot ${JSON.parse(readFileSync('node_modules/uplot/package.json', 'utf8')).version}.\n${readFileSync('node_modules/uplot/LICENSE', 'utf8').trim()} */\n`;
for (const file of ['dist/report.js', 'dist/report.css']) {
	writeFileSync(file, notice + readFileSync(file, 'utf8'));
}
const sum = createHash('sha256');
const sources = ['build.mjs', 'package.json', 'package-lock.json', 'tsconfig.json', ...readdirSync('src').map(f => 'src/' + f)].sort();
for (const file of sources) {
	const data = readFileSync(file);
	sum.update(`${file} ${data.length}\n`).update(data);
}
writeFileSync('dist/sources.sha256', sum.digest('hex') + '\n');
