// Search: findings that hold every word stay, the words are marked, and what is
// folded over a hit opens.

import {count} from './words';

export class Search {
	private readonly texts: string[];

	constructor(readonly input: HTMLInputElement, private readonly status: HTMLElement, private readonly articles: HTMLElement[], private readonly rows: HTMLElement[], private readonly results: HTMLElement | null) {
		this.texts = articles.map(a => (a.textContent ?? '').toLowerCase());
		input.addEventListener('input', () => this.run());
	}

	clear(): void {
		this.input.value = '';
		this.run();
	}

	private run(): void {
		const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
		let hits = 0;
		this.articles.forEach((a, i) => {
			const hit = words.every(w => this.texts[i].includes(w));
			hits += hit ? 1 : 0;
			a.hidden = this.rows[i].hidden = !hit;
			for (const d of a.querySelectorAll('details')) {
				if (words.length === 0 || !hit) {
					d.open &&= !d.classList.contains('found');
					d.classList.remove('found');
				} else if (!d.open && words.some(w => w.length > 2 && d.textContent!.toLowerCase().includes(w))) {
					d.open = d.classList.toggle('found', true);
				}
			}
		});
		this.status.textContent = words.length === 0 ? '' : `${hits} of ${count(this.articles.length, 'finding')}`;
		if (words.length > 0) {
			this.results?.scrollIntoView({block: 'start'});
		}
		mark(words, [...this.rows, ...this.articles].filter(a => !a.hidden));
	}
}

const most = 2000; // marks

/** mark paints words without changing the page, where the browser can. */
function mark(words: string[], within: HTMLElement[]): void {
	if (!('highlights' in CSS)) {
		return;
	}
	CSS.highlights.delete('found');
	if (words.length === 0) {
		return;
	}
	const found = new Highlight();
	for (const el of within) {
		const walk = document.createTreeWalker(el, NodeFilter.SHOW_TEXT);
		for (let n = walk.nextNode(); n && found.size < most; n = walk.nextNode()) {
			const text = n.nodeValue!.toLowerCase();
			for (const w of words) {
				for (let at = text.indexOf(w); at >= 0; at = text.indexOf(w, at + w.length)) {
					const range = document.createRange();
					range.setStart(n, at);
					range.setEnd(n, Math.min(at + w.length, n.nodeValue!.length));
					found.add(range);
				}
			}
		}
	}
	CSS.highlights.set('found', found);
}
