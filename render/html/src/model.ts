// The report as the Go program hands it over; render/sheet.go and
// render/sheetscene.go say what each field means. Times are nanoseconds on the
// trace's clock.

export interface Sheet {
	version: string;
	verdict: string;
	notes: string[];
	traces: Trace[];
	findings: Finding[];
	frames: Frame[];
	patterns: Pattern[];
	kinds: Kind[];
	blind: {text: string; in: string}[];
}

export interface Frame {fn: string; short: string; file: string; line: number}
export interface Kind {state: string; reason: string}

export interface Trace {
	source: string;
	about: string;
	warnings: string[];
	duration: number;
	step: number;
	activity: Band[];
	resting: string;
	restingAt: {n: number; frame: number; why: string}[];
	restingOut: number;
}

export interface Band {kind: number; mean: number[]; spent: number; text: string}

export interface Finding {
	rank: number;
	trace: number;
	seen: string;
	detector: string;
	cause: string;
	severity: string;
	sure: string;
	title: string;
	detail: string;
	costs: string;
	saves: string;
	tests: string[];
	site: number;
	caller: number;
	source: Line[];
	evidence: {text: string; sign: number}[];
	groups: Group[];
	steps: Step[];
	wrong: string;
	pattern: number;
	picture: string[];
	graph: Node[];
	scene: PackedScene | null;
	open: {command: string; url: string; note: string} | null;
	from: number;
	to: number;
	less: string;
}

export interface Line {line: number; text: string; mark: string}
export interface Group {role: string; count: number; ids: string; text: string; stack: number[]; top: number; leftOut: number}
export interface Step {t: number; at: string; g: number; event: string; text: string}
export interface Node {g: number; count: number; frame: number; holds: string[]; waits: string; for: number}
export interface Pattern {id: string; title: string; why: string; before: Line[]; after: Line[]; links: string[]}

interface PackedScene {
	from: number;
	to: number;
	tracks: {g: number; role: string; entry: string; born: number | null; ended: number | null; since: number; until: number; spans: number[]}[];
	wakes: number[];
	whats: string[];
	curve: number[];
	leftOut: {goroutines: number; spans: number; wakes: number};
}

export interface Scene {
	from: number;
	to: number;
	tracks: Track[];
	wakes: Wake[];
	curve: [number[], number[]]; // times, counts
	leftOut: {goroutines: number; spans: number; wakes: number};
}

export interface Track {
	g: number;
	role: string;
	entry: string;
	born: number | null;
	ended: number | null;
	since: number;
	until: number;
	spans: Span[];
}

export interface Span {from: number; to: number; kind: Kind; frame: Frame | null; merged: number}
export interface Wake {t: number; by: number; of: number; what: string}

/** unpack gives the rows of numbers in a scene their names. */
export function unpack(p: PackedScene, sheet: Sheet): Scene {
	const tracks = p.tracks.map(t => {
		const spans: Span[] = [];
		let last = p.from;
		for (let i = 0; i + 4 < t.spans.length; i += 5) {
			const from = last + t.spans[i];
			last = from + t.spans[i + 1];
			spans.push({from, to: last, kind: sheet.kinds[t.spans[i + 2]], frame: sheet.frames[t.spans[i + 3]] ?? null, merged: t.spans[i + 4]});
		}
		return {...t, spans};
	});
	const wakes: Wake[] = [];
	let t = p.from;
	for (let i = 0; i + 3 < p.wakes.length; i += 4) {
		t += p.wakes[i];
		wakes.push({t, by: p.wakes[i + 1], of: p.wakes[i + 2], what: p.whats[p.wakes[i + 3]]});
	}
	const times: number[] = [], counts: number[] = [];
	for (let i = 0, at = 0; i + 1 < p.curve.length; i += 2) {
		at += p.curve[i];
		times.push(at);
		counts.push(p.curve[i + 1]);
	}
	return {from: p.from, to: p.to, tracks, wakes, curve: [times, counts], leftOut: p.leftOut};
}
