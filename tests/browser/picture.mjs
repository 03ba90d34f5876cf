// Takes pictures of a page: node picture.mjs PAGE FOLDER

import { pathToFileURL } from 'node:url';

import { launch } from './browser.mjs';

const [page, folder] = process.argv.slice(2);
const browser = await launch();
for (const [colorScheme, width, height] of [['light', 1200, 900], ['dark', 375, 812]]) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, offline: true });
  const tab = await context.newPage();
  await tab.goto(pathToFileURL(page).href);
  await tab.screenshot({ path: `${folder}/page-${colorScheme}.png` });
  await context.close();
}
await browser.close();
