// Times and numbers in words.

const units: [number, string][] = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']];

/** duration words a length of time with three digits. */
export function duration(ns: number): string {
	for (const [size, name] of units) {
		if (ns >= size || size === 1) {
			return trim((ns / size).toPrecision(3)) + ' ' + name;
		}
	}
	return '0 ns';
}

function trim(s: string): string {
	const n = Number(s);
	return Number.isFinite(n) ? String(n) : s;
}

/** moment words a time in seconds, or in milliseconds where steps of less are to be told apart. */
export function moment(ns: number, step: number): string {
	const [unit, name] = step < 1e6 ? [1e6, 'ms'] : [1e9, 's'];
	const digits = Math.max(0, Math.min(9, Math.ceil(-Math.log10(Math.max(1, step) / unit) - 1e-9)));
	return (ns / unit).toLocaleString('en-GB', {minimumFractionDigits: digits, maximumFractionDigits: digits}) + ' ' + name;
}

export function count(n: number, thing: string): string {
	return n.toLocaleString('en-GB') + ' ' + thing + (n === 1 ? '' : 's');
}

/** doing words what a goroutine does: "waits (chan send)". */
export function doing(kind: {state: string; reason: string}): string {
	const words: Record<string, string> = {running: 'runs', runnable: 'could run', syscall: 'in a system call', waiting: 'waits'};
	return (words[kind.state] ?? kind.state) + (kind.reason ? ` (${kind.reason})` : kind.state === 'waiting' ? ' (for what is not recorded)' : '');
}

export function place(f: {file: string; line: number}): string {
	return f.file.slice(Math.max(f.file.lastIndexOf('/'), f.file.lastIndexOf('\\')) + 1) + ':' + f.line;
}
