// Checks a page of a run in a browser: node check.mjs PAGE EXPECTED.json
//
// EXPECTED.json: {"failures": […names], "passing": 20, "others": 1, "copy": "a command of the first failure",
//                 "shown": ["texts that the page shows"], "unfold": "a text that is folded until one looks"}

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

import { launch } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8');
const [file, expectedFile] = process.argv.slice(2);
const expected = JSON.parse(readFileSync(expectedFile, 'utf8'));
const address = pathToFileURL(file).href;
const browser = await launch();

/// Opens the page as one of the people does who read it; whatever it complains of, asks for or runs fails the check.
const open = async ({ width = 1440, colorScheme = 'light', at = '' } = {}) => {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, offline: true });
  const page = await context.newPage();
  page.on('console', (message) => assert.fail(`the page said: ${message.text()}`));
  page.on('pageerror', (error) => assert.fail(`the page failed: ${error.message}`));
  page.on('dialog', (dialog) => assert.fail(`something in the page ran: ${dialog.message()}`));
  page.on('request', (request) => assert.ok(request.url().startsWith(address), `the page asked for ${request.url()}`));
  await page.goto(address + at);
  return page;
};

const visible = (page, selector) => page.locator(`${selector}:visible`).count();
const failures = expected.failures.length;
const all = failures + expected.passing + expected.others;

// What a person sees first.
{
  const page = await open();
  assert.match(await page.locator('h1').innerText(), new RegExp(`^${failures} of ${all} cases failed$`));
  assert.equal(await visible(page, '[data-status=failed]'), failures);
  assert.equal(await page.locator('[data-status=passed]').count(), expected.passing);
  assert.equal(await page.locator('script').count(), 1, 'scripts of others');
  assert.equal(await page.locator('img, iframe, object, embed, link, base').count(), 0, 'elements of others');
  assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
  await page.evaluate(() => document.querySelectorAll('details').forEach((fold) => { fold.open = true; }));
  const text = await page.evaluate(() => document.body.innerText);
  for (const shown of expected.shown) assert.ok(text.includes(shown), `not shown: ${shown}`);
  await page.context().close();
}

// What is the same on both sides is folded.
if (expected.unfold) {
  const page = await open();
  const hidden = page.locator('details.same pre', { hasText: expected.unfold }).first();
  assert.equal(await hidden.isVisible(), false, 'unchanged branches are folded');
  await hidden.locator('xpath=../summary').click();
  assert.equal(await hidden.isVisible(), true, 'and can be unfolded');
  await page.context().close();
}

// With the keyboard alone: filter, choose statuses, open a failure, copy a command.
{
  const page = await open();
  const focused = () => page.evaluate(() => {
    const element = document.activeElement;
    return element.id || element.value || element.className || element.tagName;
  });
  const tabTo = async (wanted) => {
    for (let n = 0; n < 500; n += 1) {
      if (await focused() === wanted) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`the keyboard does not reach ${wanted}`);
  };
  await tabTo('text');
  const [name] = expected.failures.slice(-1);
  await page.keyboard.type(name);
  assert.equal(await visible(page, '[data-status]'), 1);
  assert.equal(await page.locator('#found').innerText(), `1 of ${all} shown`);
  assert.ok(page.url().includes('#text='), page.url());
  const kept = page.url().slice(address.length);
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  assert.equal(await visible(page, '[data-status=failed]'), failures);
  await tabTo('failed');
  await page.keyboard.press('Space');
  assert.equal(await visible(page, '[data-status=failed]'), 0);
  assert.ok(page.url().includes('status=passed%2Cignored'), page.url());
  await page.keyboard.press('Space');
  await tabTo('SUMMARY');
  const first = page.locator('details.case').first();
  const wasOpen = await first.evaluate((fold) => fold.open);
  await page.keyboard.press('Enter');
  assert.equal(await first.evaluate((fold) => fold.open), !wasOpen);
  await page.keyboard.press('Enter');
  if (!wasOpen) await page.keyboard.press('Enter');
  await page.locator('details.case').first().locator('button.copy').first().focus();
  await page.keyboard.press('Enter');
  await page.getByText('copied').first().waitFor();
  await page.locator('#text').focus();
  await page.keyboard.press('Control+V');
  assert.equal(await page.locator('#text').inputValue(), expected.copy);
  await page.context().close();

  // The address brings the filter back.
  const again = await open({ at: kept });
  assert.equal(await again.locator('#text').inputValue(), name);
  assert.equal(await visible(again, '[data-status]'), 1);
  await again.context().close();
}

// A link to a case opens it, whatever the filter hides.
{
  const page = await open({ at: '#text=nothing+is+called+so' });
  assert.equal(await visible(page, '[data-status]'), 0);
  const links = page.locator('.causes a');
  await links.last().click();
  const wanted = (await links.last().getAttribute('href')).slice(1);
  assert.equal(await page.locator(`#${wanted}`).isVisible(), true);
  assert.equal(await page.locator(`#${wanted}`).evaluate((fold) => fold.open), true);
  await page.context().close();
}

// Each way to look at it: nothing is wider than the screen, and nothing is hard to read or without a role.
for (const width of [375, 1440]) {
  for (const colorScheme of ['light', 'dark']) {
    const page = await open({ width, colorScheme });
    await page.evaluate(() => document.querySelectorAll('details').forEach((fold) => { fold.open = true; }));
    const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= screen, `${wide} pixels on a screen of ${screen}`);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'],
    }));
    const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html + ' ' + node.failureSummary).join('; ')}`);
    assert.deepEqual(told, [], `${width} pixels, ${colorScheme}`);
    await page.context().close();
  }
}

await browser.close();
console.log('the page is right');
