'use strict';
(() => {
  const text = document.getElementById('text');
  const boxes = [...document.querySelectorAll('input[name=status]')];
  const found = document.getElementById('found');
  const cases = [...document.querySelectorAll('[data-status]')].map((element) => ({
    element,
    status: element.dataset.status,
    name: (element.dataset.name || element.firstChild.textContent).toLowerCase(),
  }));

  // The filter stands in the part of the address that no server and no file system looks at.
  const toAddress = () => {
    const address = new URLSearchParams();
    if (text.value) address.set('text', text.value);
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    if (chosen.length < boxes.length) address.set('status', chosen.join(','));
    const wanted = '#' + address;
    if (location.hash !== wanted && (location.hash || address.size)) location.replace(wanted);
  };

  const fromAddress = () => {
    const hash = location.hash.slice(1);
    if (hash.startsWith('case-')) {
      const element = document.getElementById(hash);
      if (!element) return;
      if (element.hidden) {
        text.value = '';
        boxes.forEach((box) => { box.checked = true; });
        show();
      }
      element.open = true;
      element.scrollIntoView();
      element.querySelector('summary').focus();
      return;
    }
    const address = new URLSearchParams(hash);
    text.value = address.get('text') || '';
    const chosen = address.has('status') ? address.get('status').split(',') : null;
    boxes.forEach((box) => { box.checked = !chosen || chosen.includes(box.value); });
    show();
  };

  const show = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let count = 0;
    for (const { element, status, name } of cases) {
      const fits = chosen.has(status) && words.every((word) => name.includes(word));
      if (element.hidden === fits) element.hidden = !fits;
      if (fits) count += 1;
    }
    const isFiltered = words.length > 0 || chosen.size < boxes.length;
    found.textContent = isFiltered ? `${count} of ${cases.length} shown` : '';
  };

  const copy = async (button) => {
    const command = button.parentElement.querySelector('code').textContent;
    let done = true;
    try {
      await navigator.clipboard.writeText(command);
    } catch {
      const area = document.createElement('textarea');
      area.value = command;
      document.body.append(area);
      area.select();
      done = document.execCommand('copy');
      area.remove();
      button.focus();
    }
    button.textContent = done ? 'copied' : 'can\u2019t copy';
    setTimeout(() => { button.textContent = 'copy'; }, 2000);
  };

  document.getElementById('filter').hidden = false;
  document.getElementById('filter').addEventListener('submit', (event) => event.preventDefault());
  for (const input of [text, ...boxes]) {
    input.addEventListener('input', () => { show(); toAddress(); });
  }
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button.copy');
    if (button) copy(button);
  });
  for (const button of document.querySelectorAll('button.copy')) button.hidden = false;
  addEventListener('hashchange', fromAddress);
  fromAddress();
})();
