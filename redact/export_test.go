package redact

// Known tells tests whether a word is one of ours.
var Known = known
