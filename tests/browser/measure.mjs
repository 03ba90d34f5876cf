// Measures how long a page takes until it can be used: node measure.mjs PAGE [ROUNDS]

import { pathToFileURL } from 'node:url';

import { launch } from './browser.mjs';

const [page, rounds = '5'] = process.argv.slice(2);
const browser = await launch();
const opened = [];
const filtered = [];
for (let n = 0; n < Number(rounds); n += 1) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, offline: true });
  const tab = await context.newPage();
  let start = performance.now();
  await tab.goto(pathToFileURL(page).href);
  await tab.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  opened.push(performance.now() - start);
  start = performance.now();
  await tab.locator('#text').fill('000199');
  await tab.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  filtered.push(performance.now() - start);
  await context.close();
}
await browser.close();
const median = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)].toFixed(0);
console.log(`opened and painted in ${median(opened)} ms, filtered in ${median(filtered)} ms (medians of ${rounds})`);
